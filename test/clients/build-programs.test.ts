import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, TestDaemon } from "../harness/daemon.ts";
import { dockerPlugin } from "../harness/docker-plugin.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Programs of others that order builds, each in its own way: docker-compose 1.29, Docker's library for Python, buildx, compose v2. */
let daemon: TestDaemon;
let folder: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  folder = mkdtempSync(join(tmpdir(), "tug-build-programs-"));
}, 180_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await daemon.stopAndClose();
});

const files = (name: string, content: Readonly<Record<string, string>>) => {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(content)) writeFileSync(join(path, file), text);
  return path;
};
const done = async (command: readonly string[], env: Record<string, string> = {}, cwd = folder) => {
  const all = { DOCKER_HOST: daemon.host, DOCKER_CONFIG: join(folder, "config"), ...env };
  const result = await run(command, { timeout: 60_000, cwd, env: all });
  const said = result.stdout + result.stderr;
  expect([command.join(" "), result.code, result.code === 0 ? "" : said]).toEqual([command.join(" "), 0, ""]);
  return { stdout: result.stdout, said };
};

const staged = {
  Dockerfile: [
    "FROM busybox AS base",
    "ARG WHO=nobody",
    'RUN echo "made for $WHO" >/told; grep 10.1.2.3 /etc/hosts >>/told; ls /sys/class/net >>/told',
    "FROM base AS dev",
    "COPY file /file",
    'CMD ["cat", "/told", "/file"]',
    "FROM base",
    "RUN exit 9",
  ].join("\n"),
  file: "of the context\n",
};

const old = "/usr/bin/docker-compose";
const version = existsSync(old) ? (await run([old, "version", "--short"])).stdout.split(".")[0] : undefined;
if (version !== "1") console.log("skipped: docker-compose 1.29 (Debian 12's package docker-compose)");
describe.skipIf(version !== "1")("docker-compose 1.29", () => {
  const ways = [{ DOCKER_BUILDKIT: "0" }, { DOCKER_BUILDKIT: "1" }];
  for (const way of ways) {
    const cli = { ...way, COMPOSE_DOCKER_CLI_BUILD: way.DOCKER_BUILDKIT };
    test(`builds with all that a file says of a build: ${JSON.stringify(cli)}`, async () => {
      const name = `one${way.DOCKER_BUILDKIT}`;
      files(name, {});
      files(`${name}/context`, staged);
      const service = {
        image: `${name}:built`,
        build: {
          context: "context",
          target: "dev",
          args: { WHO: name },
          cache_from: [`${name}:built`],
          network: "none",
          labels: { "of.build": "yes" },
          extra_hosts: ["there:10.1.2.3"],
        },
      };
      const outside = { image: `${name}:out`, build: { context: "context", dockerfile: "../Other" } };
      writeFileSync(join(folder, name, "Other"), "FROM busybox\nCOPY file /outside\n");
      writeFileSync(
        join(folder, name, "docker-compose.yml"),
        JSON.stringify({ version: "3.9", services: { web: service, out: outside } }),
      );
      // It runs the docker CLI that it finds: Debian's, which has BuildKit built in.
      const env = { ...cli, PATH: `/usr/bin:${process.env["PATH"]}` };
      await done([old, "build"], env, join(folder, name));
      const ran = await daemon.ok(["run", "--rm", `${name}:built`]);
      expect(ran).toBe(`made for ${name}\n10.1.2.3\tthere\nlo\nof the context`);
      const [image] = JSON.parse(await daemon.ok(["image", "inspect", `${name}:built`]));
      expect(image.Config.Labels).toEqual({ "of.build": "yes" });
      expect(await daemon.ok(["run", "--rm", `${name}:out`, "cat", "/outside"])).toBe("of the context");
    }, 180_000);
  }
});

const python = (await run(["sh", "-c", "/usr/bin/python3 -c 'import docker'"])).code === 0;
if (!python) console.log("skipped: Docker's library for Python (Debian package python3-docker)");
test.skipIf(!python)(
  "Docker's library for Python builds, and knows what failed how",
  async () => {
    const context = files("python", staged);
    const program = `
import docker, io, json, sys
client = docker.DockerClient(base_url="${daemon.host}", timeout=60)
image, log = client.images.build(path="${context}", tag="py:built", target="dev", buildargs={"WHO": "python"},
    labels={"l": "m"}, extra_hosts={"there": "10.1.2.3"}, network_mode="none", shmsize=1 << 27, nocache=True,
    rm=True, forcerm=True, container_limits={"memory": 1 << 28}, platform="linux/amd64" if "${process.arch}" == "x64" else None)
print(image.tags, image.labels, any("made" in line.get("stream", "") for line in log))
for text in ["FROM busybox\\nRUN exit 4\\n", "FROM busybox\\nRUNN x\\n"]:
    try:
        client.images.build(fileobj=io.BytesIO(text.encode()))
    except docker.errors.DockerException as failure:
        print(type(failure).__name__, getattr(failure, "msg", None) or failure.explanation)
`;
    const { stdout } = await done(["/usr/bin/python3", "-c", program]);
    expect(stdout.split("\n")).toEqual([
      "['py:built'] {'l': 'm'} True",
      `BuildError The command '/bin/sh -c exit 4' returned a non-zero code: 4`,
      "APIError dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
      "",
    ]);
    const ran = await daemon.ok(["run", "--rm", "py:built"]);
    expect(ran).toBe("made for python\n10.1.2.3\tthere\nlo\nof the context");
  },
  180_000,
);

const buildx = process.env["TUG_BUILDX"] || dockerPlugin("docker-buildx");
if (buildx === undefined) console.log("skipped: no buildx (Debian 13's docker-buildx, or TUG_BUILDX)");
describe.skipIf(buildx === undefined)("buildx beside this daemon, as its driver docker", () => {
  const call = (...args: string[]) => done([buildx ?? "", ...args]);

  test("is told the collector's policy, the host's address and what the builder exports", async () => {
    const { stdout } = await call("inspect", "--bootstrap");
    for (const line of [
      /Driver:\s+docker\n/,
      /Platforms:\s+linux\//,
      /worker.moby.host-gateway-ip:\s+\d+\./,
      /worker.snapshotter:\s+\w/,
      /Keep Duration:\s+48h/,
    ])
      expect(stdout).toMatch(line);
    const context = files("gateway", { Dockerfile: "FROM busybox\nRUN grep up /etc/hosts >/hosts\n" });
    await call("build", "--add-host", "up:host-gateway", "-t", "gateway", context);
    expect(await daemon.ok(["run", "--rm", "gateway", "cat", "/hosts"])).toMatch(/^\d+\.\d+\.\d+\.\d+\tup$/);
  }, 180_000);

  test("keeps caches in directories, written once and found again", async () => {
    const context = files("cached", { Dockerfile: "FROM busybox\nRUN date +%s%N >/made\n" });
    const directory = join(folder, "cache");
    const built = async (...flags: string[]) => {
      await call("build", "-t", "cached", ...flags, context);
      return await daemon.ok(["run", "--rm", "cached", "cat", "/made"]);
    };
    const to = `type=local,dest=${directory},mode=max`;
    const first = await built("--cache-to", to);
    expect(JSON.parse(readFileSync(join(directory, "index.json"), "utf8")).manifests).toHaveLength(1);
    expect(await built("--cache-to", to)).toBe(first);
    await daemon.ok(["rmi", "-f", "cached"]);
    await daemon.ok(["builder", "prune", "-af"]);
    expect(await built("--cache-from", `type=local,src=${directory}`)).toBe(first);
  }, 180_000);

  const missing = TestRegistry.missing();
  if (missing) console.log(`skipped: buildx and a registry: ${missing}`);
  test.skipIf(missing !== undefined)(
    "pushes what imagetools reads, with provenance, and tells of it",
    async () => {
      const registry = await TestRegistry.start();
      await using _registry = { [Symbol.asyncDispose]: () => registry.close() };
      const context = files("pushed", { Dockerfile: "FROM scratch\nCOPY file /f\n", file: "x" });
      const name = `${registry.address}/team/app:1`;
      const metadata = join(folder, "metadata.json");
      const flags = ["--platform", "linux/amd64,linux/arm64", "--metadata-file", metadata, "-t", name];
      await call("build", ...flags, "--push", context);
      const told = JSON.parse(readFileSync(metadata, "utf8"));
      expect(told).toMatchObject({
        "containerimage.descriptor": { mediaType: "application/vnd.oci.image.index.v1+json" },
        "image.name": name,
      });
      const { stdout } = await call("imagetools", "inspect", name);
      expect(stdout).toContain(told["containerimage.digest"]);
      for (const platform of ["linux/amd64", "linux/arm64"]) expect(stdout).toContain(platform);
      const seen = await call("imagetools", "inspect", name, "--format", "{{json .Provenance}}");
      expect(JSON.parse(seen.stdout)).toMatchObject({ "linux/amd64": { SLSA: { builder: {} } } });
      await call("imagetools", "create", "-t", `${registry.address}/team/app:2`, name);
      expect((await call("imagetools", "inspect", `${registry.address}/team/app:2`)).stdout).toContain(
        "linux/arm64",
      );
      const archive = join(folder, "oci.tar");
      await call("build", "-o", `type=oci,dest=${archive}`, context);
      await done(["skopeo", "inspect", `oci-archive:${archive}`]);
    },
    180_000,
  );
});

const compose = process.env["TUG_COMPOSE"] || dockerPlugin("docker-compose");
if (compose === undefined) console.log("skipped: no compose v2 (Debian 13's docker-compose, or TUG_COMPOSE)");
test.skipIf(compose === undefined)(
  "compose v2 builds with secrets, contexts, platforms and caches",
  async () => {
    const context = files("two", {
      Dockerfile: [
        "FROM busybox AS dev",
        "RUN --mount=type=secret,id=token cat /run/secrets/token >/told",
        "COPY --from=lib shared /shared",
        'CMD ["cat", "/told", "/shared"]',
      ].join("\n"),
      token: "lent\n",
    });
    const lib = files("lib", { shared: "from beside\n" });
    const cache = `type=local,dest=${join(folder, "two-cache")}`;
    const platforms = [process.arch === "x64" ? "linux/amd64" : "linux/arm64"];
    const build = {
      target: "dev",
      additional_contexts: { lib },
      secrets: ["token"],
      platforms,
      cache_to: [cache],
    };
    const inline = { context, dockerfile_inline: "FROM busybox\nRUN echo inline >/i\n" };
    const file = join(folder, "compose.yaml");
    const services = {
      web: { image: "two:web", build: { ...build, context } },
      inline: { image: "two:inline", build: inline },
    };
    writeFileSync(file, JSON.stringify({ services, secrets: { token: { file: join(context, "token") } } }));
    await done([compose ?? "", "-f", file, "--progress", "plain", "build"]);
    expect(await daemon.ok(["run", "--rm", "two:web"])).toBe("lent\nfrom beside");
    expect(await daemon.ok(["run", "--rm", "two:inline", "cat", "/i"])).toBe("inline");
    expect(existsSync(join(folder, "two-cache", "index.json"))).toBe(true);
  },
  180_000,
);
