import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";

/** The classic protocol of `POST /build` as docker CLIs speak it: what BuildKit's protocol does not have, and how failures are told. */
let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
}, 180_000);
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.close();
});

const clients = ["/usr/bin/docker", "/usr/local/bin/docker"].filter((path) => existsSync(path));
if (clients.length === 0) console.log("skipped: no docker CLI (Debian package docker.io)");

const build = async (client: string, args: readonly string[], env: Record<string, string> = {}) => {
  const kit = { DOCKER_HOST: daemon.host, DOCKER_BUILDKIT: "0", DOCKER_CONFIG: join(builds.root, "none") };
  const { code, stdout, stderr } = await run([client, "build", ...args], {
    timeout: 60_000,
    env: { ...kit, ...env },
  });
  return { code, said: stdout + stderr };
};

for (const client of clients) {
  test(`${client}: steps have the network that the build names, with its names, or that of a container`, async () => {
    await daemon.ok(["network", "create", "--subnet", "10.203.77.0/24", "own"]);
    const serve = "mkdir /w && echo served >/w/index.html && exec httpd -f -p 8000 -h /w";
    await daemon.ok(["run", "-d", "--name", "web", "--network", "own", "busybox", "sh", "-c", serve]);
    // What it says while nobody answers yet comes through another pipe, and maybe after the answer.
    const steps =
      "FROM busybox\nRUN until wget -qO- http://web:8000/ 2>/dev/null; do sleep 0.1; done; ip -4 -o addr show eth0\n";
    const context = builds.context({ Dockerfile: steps });
    const named = await build(client, ["--no-cache", "--network", "own", context]);
    expect(named).toEqual({ code: 0, said: expect.stringMatching(/served\n.*10\.203\.77\.3\/24/) });
    const joined = await build(client, ["--no-cache", "--network", "container:web", context]);
    expect(joined).toEqual({ code: 0, said: expect.stringMatching(/served\n.*10\.203\.77\.2\/24/) });

    const fails = async (network: string, words: string) => {
      const { code, said } = await build(client, ["--no-cache", "--network", network, context]);
      expect([code, said]).toEqual([1, expect.stringContaining(words)]);
    };
    await daemon.ok(["rm", "-f", "web"]);
    await fails("container:web", "No such container: web");
    await daemon.ok(["create", "--name", "web", "busybox", "true"]);
    await fails("container:web", "cannot join network namespace of a non running container: ");
    await daemon.ok(["rm", "web"]);
    // Nothing of the builds is in it any more.
    await daemon.ok(["network", "rm", "own"]);
    await fails("own", "network own not found");
  }, 180_000);

  // Newer ones have BuildKit's client in a plugin of their own.
  const kits = client === "/usr/bin/docker" ? ["0", "1"] : ["0"];
  test.each(kits)(
    `${client}: a quiet build says the image's id alone, and everything when it fails (BuildKit %s)`,
    async (kit) => {
      const env = { DOCKER_BUILDKIT: kit };
      const tried = async (step: string) =>
        await build(
          client,
          ["-q", "-t", "quiet", builds.context({ Dockerfile: `FROM busybox\nRUN ${step}\n` })],
          env,
        );
      const good = await tried("echo loud");
      const id = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "quiet"]);
      expect(good).toEqual({ code: 0, said: expect.stringMatching(new RegExp(`(?:^|\\n)${id}\\n`)) });
      expect(good.said).not.toMatch(/loud|tagged/);
      const bad = await tried("echo loud; exit 5");
      expect(bad).toEqual({
        code: kit === "1" ? 1 : 5,
        said: expect.stringMatching(/loud\n(?:.*\n)*.*(?:returned a non-zero|exit) code: 5/),
      });
    },
    180_000,
  );
}

test("what is wrong with a Dockerfile is answered with a status, what a step does is told in the stream", async () => {
  const tried = async (dockerfile: string, query: Record<string, string> = {}) => {
    const { status, error } = await builds.classic({ Dockerfile: dockerfile }, query);
    return [status, error];
  };
  expect(await tried("FROM busybox\nRUNN x\n")).toEqual([
    400,
    expect.stringContaining("unknown instruction: RUNN"),
  ]);
  expect(await tried("")).toEqual([400, "the Dockerfile (Dockerfile) cannot be empty"]);
  expect(await tried("FROM busybox\n", { dockerfile: "nope" })).toEqual([
    404,
    "Cannot locate specified Dockerfile: nope",
  ]);
  expect(await tried("FROM busybox\n", { target: "nope" })).toEqual([
    400,
    "failed to reach build target nope in Dockerfile",
  ]);
  expect(await tried("FROM busybox\nCOPY nope /x\n")).toEqual([
    200,
    "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist",
  ]);
  expect(await tried("FROM 127.0.0.1:1/none\nRUN x\n")).toEqual([
    200,
    expect.stringContaining("connection refused"),
  ]);
  const refused = await builds.classic(new Uint8Array(), { remote: "http://127.0.0.1:1/context.tar" });
  expect(refused.status).not.toBe(200);
  expect(refused.error).toContain(
    'Get "http://127.0.0.1:1/context.tar": dial tcp 127.0.0.1:1: connect: connection refused',
  );
});

test("images that the cache may come from are those that are here: no registry is asked", async () => {
  const asked = { cachefrom: JSON.stringify(["busybox", "127.0.0.1:1/nothing:1"]) };
  const built = await builds.classic({ Dockerfile: "FROM busybox\nRUN echo once\n" }, asked);
  expect(built).toMatchObject({ status: 200, error: undefined });
  expect(built.text).not.toContain("Warning");
});

test("what the linter has to say is said once", async () => {
  const built = await builds.classic({ Dockerfile: "from busybox AS stage\nLABEL a=b\n" });
  expect(built.text).toContain(
    "\n[Warning] FromAsCasing: 'AS' and 'from' keywords' casing do not match (line 1)\n",
  );
});

const noRegistry = TestRegistry.missing();
if (noRegistry) console.log(`skipped: base images of private registries: ${noRegistry}`);
test.skipIf(noRegistry !== undefined)(
  "base images come from several private registries with the credentials that the client has for each",
  async () => {
    const users = { ann: "secret" };
    await using stack = new AsyncDisposableStack();
    const one = stack.adopt(await TestRegistry.start({ users }), (registry) => registry.close());
    const two = stack.adopt(await TestRegistry.start({ users }), (registry) => registry.close());
    const image = join(builds.root, "busybox.tar");
    await daemon.ok(["save", "-o", image, "busybox"]);
    for (const registry of [one, two])
      await registry.push(`docker-archive:${image}`, "team/base:1", "--dest-creds", "ann:secret");
    const config = (name: string, content: object) => {
      mkdirSync(join(builds.root, name));
      writeFileSync(join(builds.root, name, "config.json"), JSON.stringify(content));
      return join(builds.root, name);
    };
    const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
    const right = auth("ann:secret");
    const both = config("both", { auths: { [one.address]: right, [two.address]: right } });
    const half = config("half", { auths: { [one.address]: right, [two.address]: auth("ann:wrong") } });
    const helper = join(builds.root, "docker-credential-kept");
    writeFileSync(helper, '#!/bin/sh\ncat >/dev/null\necho \'{"Username":"ann","Secret":"secret"}\'\n', {
      mode: 0o755,
    });
    const helped = config("helped", { credHelpers: { [one.address]: "kept", [two.address]: "kept" } });
    const from = `FROM ${one.address}/team/base:1 AS a\nRUN echo a >/a\nFROM ${two.address}/team/base:1\nCOPY --from=a /a /a\n`;
    const context = builds.context({ Dockerfile: from });
    const ways = clients.flatMap((client) =>
      // Newer ones have BuildKit's client in a plugin of their own.
      (client === "/usr/bin/docker" ? ["0", "1"] : ["0"]).map((kit) => ({ client, kit })),
    );
    for (const { client, kit } of ways) {
      const tried = async (directory: string) => {
        await daemon.tug(["rmi", "-f", `${one.address}/team/base:1`, `${two.address}/team/base:1`]);
        return await build(client, ["--no-cache", context], {
          DOCKER_BUILDKIT: kit,
          DOCKER_CONFIG: directory,
          PATH: `${builds.root}:${process.env["PATH"]}`,
        });
      };
      for (const directory of [both, helped])
        expect([kit, directory, await tried(directory)]).toMatchObject([kit, directory, { code: 0 }]);
      const denied = { code: 1, said: expect.stringContaining("unauthorized: authentication required") };
      expect([kit, await tried(half)]).toEqual([kit, denied]);
    }
    // dockerode lends the one login that it was given, and does not say that it does.
    const docker = new Docker({ socketPath: daemon.socket });
    const single = builds.context({ Dockerfile: `FROM ${one.address}/team/base:1\nRUN true\n` });
    const lent = async (password: string) => {
      await daemon.tug(["rmi", "-f", `${one.address}/team/base:1`]);
      const authconfig = { username: "ann", password, serveraddress: one.address };
      const order = { t: "lent", version: "2", authconfig } as const;
      const stream = await docker.buildImage({ context: single, src: ["Dockerfile"] }, order);
      return await new Promise<string>((said) =>
        docker.modem.followProgress(stream, (error, all) =>
          said(error?.message ?? JSON.stringify(all.at(-1))),
        ),
      );
    };
    expect(await lent("secret")).toContain("Successfully tagged lent:latest");
    expect(await lent("wrong")).toContain("unauthorized: authentication required");
  },
  180_000,
);
