import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeBuilder } from "../../src/api/fakes/builder.ts";
import { FakeServer } from "../../src/api/fakes/server.ts";
import { post } from "../../src/api/route.ts";
import { cancelRoute } from "../../src/api/routes/build/builder.ts";
import { buildkitRoutes } from "../../src/api/routes/build/buildkit.ts";
import { BuilderClient } from "../../src/client/build/builder.ts";
import type { SolveEvent } from "../../src/client/build/events.ts";
import { lendFiles, lendSecrets } from "../../src/client/build/lend.ts";
import { takeOutputs } from "../../src/client/build/outputs.ts";
import { newBuildId, openSession } from "../../src/client/build/session.ts";
import { Client } from "../../src/client/client.ts";
import { eventually, run } from "../harness/daemon.ts";
import { dockerPlugin } from "../harness/docker-plugin.ts";
import { RealDocker } from "../harness/real-docker.ts";

/** Clients of BuildKit that we did not write against our end of its protocol, and our client against the real one. */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tug-build-clients-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const docker = "/usr/bin/docker";
const buildx = process.env["TUG_BUILDX"] || dockerPlugin("docker-buildx");
const compose = process.env["TUG_COMPOSE"] || dockerPlugin("docker-compose");

interface Program {
  readonly name: string;
  readonly build: readonly string[];
  /** Whether it prints the lines of the Dockerfile that failed. */
  readonly excerpt: boolean;
}
const programs: readonly Program[] = [
  ...(existsSync(docker)
    ? [{ name: "docker with BuildKit built in", build: [docker, "build"], excerpt: false }]
    : []),
  ...(buildx === undefined ? [] : [{ name: "buildx", build: [buildx, "build"], excerpt: true }]),
];
if (!existsSync(docker))
  console.log("skipped: no docker CLI with BuildKit built in (Debian package docker.io)");
if (buildx === undefined) console.log("skipped: no buildx (Debian 13's docker-buildx, or TUG_BUILDX)");
if (compose === undefined) console.log("skipped: no compose v2 (Debian 13's docker-compose, or TUG_COMPOSE)");

describe("clients of BuildKit over a fake builder", () => {
  let fake: FakeBuilder;
  let server: FakeServer;
  beforeAll(() => {
    fake = new FakeBuilder();
    const kit = buildkitRoutes(fake.deps);
    const build = post("/build", async (call) => {
      const begun = kit.build(call);
      if (!begun) throw new Error("the classic protocol was spoken");
      await begun;
    });
    server = new FakeServer(
      {},
      {
        routes: [...kit.routes, build, cancelRoute((id) => kit.cancel(id))],
        about: { version: "0.1.0", builder: "2", experimental: false },
      },
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const env = () => ({
    DOCKER_HOST: server.host,
    DOCKER_BUILDKIT: "1",
    DOCKER_CONFIG: join(folder, "config"),
  });
  const context = (dockerfile: string) => {
    const path = join(folder, "context");
    mkdirSync(join(path, "src"), { recursive: true });
    writeFileSync(join(path, "Dockerfile"), dockerfile);
    writeFileSync(join(path, "src/file"), "content");
    return path;
  };

  for (const { name, build, excerpt } of programs) {
    describe(name, () => {
      test("sends its context and secrets, shows the steps and names the image", async () => {
        fake.found = [];
        writeFileSync(join(folder, "token"), "s3cret");
        const path = context("FROM scratch\nRUN secret token\n");
        const result = await run(
          [
            ...build,
            ...["--progress", "plain", "--secret", `id=token,src=${join(folder, "token")}`],
            ...["--iidfile", join(folder, "iid"), "-t", "a:b", "--build-arg", "X=1", "--target", "t", path],
          ],
          { env: env() },
        );
        expect(result).toMatchObject({ code: 0 });
        expect(result.stderr).toContain("[1/1] RUN secret token");
        expect(result.stderr).toContain("output of secret token");
        expect(fake.found).toEqual(["token=s3cret"]);
        expect(fake.contents.get("src/file")).toBe("content");
        expect(readFileSync(join(folder, "iid"), "utf8")).toMatch(/^sha256:[0-9a-f]{64}$/);
        const request = fake.requests.at(-1);
        expect(request).toMatchObject({ target: "t", buildArgs: { X: "1" } });
        expect(request?.outputs[0]?.attributes["name"]).toContain("a:b");
      });

      test("fails as the build does and says why", async () => {
        const path = context("FROM scratch\n# c\nRUN fail\n");
        const result = await run([...build, "--progress", "plain", path], { env: env() });
        expect(result).toMatchObject({ code: 1 });
        expect(result.stderr).toContain(
          'process "/bin/sh -c fail" did not complete successfully: exit code: 1',
        );
        if (excerpt) expect(result.stderr).toContain("Dockerfile:3\n");
        if (excerpt) expect(result.stderr).toContain("   3 | >>> RUN fail\n");
      });

      test("reads a Dockerfile from its standard input", async () => {
        const input = "FROM scratch\nRUN typed\n";
        const result = await run([...build, "--progress", "plain", "-"], { env: env(), input });
        expect(result).toMatchObject({ code: 0 });
        expect(result.stderr).toContain("output of typed");
      });

      test("cancels the build when it is interrupted", async () => {
        const path = context("FROM scratch\nRUN wait\n");
        const before = fake.cancelled;
        const child = Bun.spawn([...build, "--progress", "plain", path], {
          env: { ...process.env, ...env() },
          stdin: "ignore",
          stdout: "ignore",
          stderr: "pipe",
        });
        let shown = "";
        for await (const piece of child.stderr) {
          shown += Buffer.from(piece).toString();
          if (shown.includes("output of wait")) break;
        }
        child.kill("SIGINT");
        await child.exited;
        await eventually("the build is cancelled", () => fake.cancelled !== before);
        expect(fake.cancelled).toBe(before + 1);
      });
    });
  }

  test.skipIf(buildx === undefined)("buildx takes a tree, lists and prunes the cache", async () => {
    fake.tree = join(folder, "tree");
    mkdirSync(fake.tree);
    writeFileSync(join(fake.tree, "made"), "by the build");
    const path = context("FROM scratch\n");
    const out = join(folder, "out");
    const call = (args: readonly string[]) => run([buildx ?? "", ...args], { env: env() });
    expect(await call(["build", "-o", out, path])).toMatchObject({ code: 0 });
    expect(readFileSync(join(out, "made"), "utf8")).toBe("by the build");
    const record = { id: "r1", parents: [], type: "regular", description: "RUN x", inUse: false };
    fake.usage = [{ ...record, shared: false, mutable: true, size: 42, created: 1000, used: 2000, uses: 3 }];
    expect((await call(["du"])).stdout).toMatch(/r1\*?\s+true\s+42B/);
    expect((await call(["prune", "-f"])).stdout).toContain("r1");
    expect((await call(["ls"])).stdout).toMatch(/default\s+running\s+v0\.13\.0\s+linux\/amd64/);
  });

  test.skipIf(compose === undefined)("compose builds a service's image", async () => {
    const path = context("FROM scratch\nRUN ok\n");
    const file = join(folder, "compose.yaml");
    writeFileSync(file, JSON.stringify({ services: { web: { image: "web:1", build: { context: path } } } }));
    const result = await run([compose ?? "", "-f", file, "--progress", "plain", "build"], { env: env() });
    expect(result).toMatchObject({ code: 0 });
    expect(fake.requests.at(-1)?.outputs[0]?.attributes["name"]).toContain("web:1");
  });
});

describe("our client over the real BuildKit", () => {
  const missing = RealDocker.missing();
  if (missing !== undefined) console.log(`skipped: ${missing}`);
  let real: RealDocker | undefined;
  beforeAll(async () => {
    if (missing === undefined) real = await RealDocker.start();
  }, 180_000);
  afterAll(async () => {
    await real?.close();
  }, 180_000);

  test.skipIf(missing !== undefined)(
    "sends files and secrets, takes a tree, and hears of the steps and of what failed",
    async () => {
      if (!real) throw new Error("no dockerd");
      mkdirSync(join(folder, "src"));
      writeFileSync(join(folder, "src/run.sh"), "echo hello\n", { mode: 0o755 });
      writeFileSync(join(folder, "src/größe"), "x".repeat(300_000));
      symlinkSync("src/run.sh", join(folder, "link"));
      writeFileSync(join(folder, ".dockerignore"), "left-out\n");
      writeFileSync(join(folder, "left-out"), "no");
      writeFileSync(
        join(folder, "Dockerfile"),
        "FROM busybox AS work\nCOPY . /ctx\nRUN --mount=type=secret,id=token cat /run/secrets/token > /out\n" +
          "FROM scratch\nCOPY --from=work /ctx /ctx\nCOPY --from=work /out /out\n",
      );
      writeFileSync(join(folder, "Failing"), "FROM busybox\nRUN exit 7\n");
      const path = join(real.root, "docker.sock");
      const client = new Client({ address: { kind: "unix", path, text: real.host } });
      const out = join(folder, "out");
      const directories = { context: { path: folder }, dockerfile: { path: folder } };
      await using session = await openSession(client, {
        services: [
          lendFiles({ directories }),
          lendSecrets(async (id) => (id === "token" ? Buffer.from("s3cret") : undefined)),
          takeOutputs({ "0": { kind: "directory", path: out } }),
        ],
      });
      await using builder = await BuilderClient.open(client);
      const solve = async (filename: string) => {
        const ref = newBuildId();
        const events: SolveEvent[] = [];
        const watching = (async () => {
          for await (const event of builder.status(ref)) events.push(event);
        })();
        const exporters = [{ type: "local", attrs: {} }];
        const failure = await builder
          .solve({ ref, session: session.id, frontendAttrs: { filename }, exporters })
          .then(() => undefined)
          .catch((error: unknown) => error);
        await watching;
        return { failure, names: new Set(events.flatMap((event) => event.vertexes.map(({ name }) => name))) };
      };

      const built = await solve("Dockerfile");
      expect(built.failure).toBeUndefined();
      expect(built.names).toContain("[internal] load build context");
      expect(built.names).toContain("[work 2/3] COPY . /ctx");
      expect(readFileSync(join(out, "out"), "utf8")).toBe("s3cret");
      expect(readFileSync(join(out, "ctx/link"), "utf8")).toBe("echo hello\n");
      expect(readFileSync(join(out, "ctx/src/größe"), "utf8")).toHaveLength(300_000);
      expect(existsSync(join(out, "ctx/left-out"))).toBe(false);

      const failed = await solve("Failing");
      expect(failed.failure).toMatchObject({ message: expect.stringContaining("exit code: 7") });
      expect((await builder.diskUsage()).length).toBeGreaterThan(0);
      let pruned = 0;
      for await (const _record of builder.prune({ all: true })) pruned++;
      expect(pruned).toBeGreaterThan(0);
      client.close();
    },
    180_000,
  );
});
