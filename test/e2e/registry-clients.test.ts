import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Result, run, TestDaemon } from "../harness/daemon.ts";
import { writeOciLayout } from "../harness/oci-layout.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(120_000);
/** Programs we did not write, pushing to and pulling from `tug registry serve`; and tug itself. */
let scratch = "";
let layout = "";
beforeAll(async () => {
  // podman takes the path for a part of a name, which has no capitals, and takes no longer one.
  scratch = `/tmp/tug-clients-${randomBytes(6).toString("hex")}`;
  mkdirSync(scratch);
  layout = join(scratch, "oci");
  const tar = join(scratch, "busybox.tar");
  writeFileSync(tar, Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout);
  await writeOciLayout(layout, "latest", tar, { Cmd: ["sh"] });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function ok(command: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const result = await run(command, { timeout: 60_000, env });
  if (result.code !== 0)
    throw new Error(`${command.join(" ")}: exit ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result;
}

const layoutDigest = () => {
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as {
    manifests: { digest: string }[];
  };
  return index.manifests[0]?.digest ?? "";
};

const missing = (...programs: string[]) => {
  const none = programs.find((program) => Bun.which(program) === null);
  if (none !== undefined) console.log(`registry clients: ${none} is not installed, its tests are skipped`);
  return none !== undefined;
};

describe.skipIf(missing("skopeo"))("skopeo", () => {
  const copy = (...args: string[]) => ok(["skopeo", "copy", "--insecure-policy", "--quiet", ...args]);

  test("copies OCI images both ways and the digest stays; converts to schema 2; deletes", async () => {
    await using registry = await TugRegistry.start({ flags: ["--gc-interval", "0"] });
    const name = (tag: string) => `docker://${registry.address}/skopeo/app:${tag}`;
    await copy("--dest-tls-verify=false", `oci:${layout}:latest`, name("oci"));
    await copy("--dest-tls-verify=false", "--format", "v2s2", `oci:${layout}:latest`, name("v2s2"));
    const inspect = await ok(["skopeo", "inspect", "--tls-verify=false", name("oci")]);
    const seen = JSON.parse(inspect.stdout) as { Digest: string; RepoTags: string[] };
    expect(seen).toMatchObject({ Digest: layoutDigest(), RepoTags: ["oci", "v2s2"] });
    const back = join(scratch, "back");
    await copy("--src-tls-verify=false", name("oci"), `oci:${back}:x`);
    expect(readFileSync(join(back, "index.json"), "utf8")).toContain(layoutDigest());
    await copy("--src-tls-verify=false", "--dest-tls-verify=false", name("v2s2"), name("copied"));
    await ok(["skopeo", "delete", "--tls-verify=false", name("copied")]);
    expect((await registry.request("GET", "/v2/skopeo/app/manifests/copied")).status).toBe(404);
    expect(await (await registry.request("GET", "/v2/skopeo/app/tags/list")).json()).toMatchObject({
      tags: ["oci"],
    });
  });

  test("speaks TLS and passwords with it, and is refused without", async () => {
    await using registry = await TugRegistry.start({ tls: true, users: { alice: "s3cret" } });
    const certificates = join(scratch, "certs-skopeo");
    mkdirSync(certificates);
    copyFileSync(registry.ca, join(certificates, "ca.crt"));
    const name = `docker://${registry.address}/private/app:1`;
    const push = (...more: string[]) =>
      run([
        "skopeo",
        "copy",
        "--insecure-policy",
        "--dest-cert-dir",
        certificates,
        ...more,
        `oci:${layout}:latest`,
        name,
      ]);
    expect((await push()).code).not.toBe(0);
    expect((await push("--dest-creds", "alice:wrong")).stderr).toContain("unauthorized");
    expect((await push("--dest-creds", "alice:s3cret")).code).toBe(0);
  });
});

describe.skipIf(missing("podman"))("podman", () => {
  test("pushes and pulls with and without TLS", async () => {
    const podman = (...args: string[]) =>
      ok([
        ...["podman", "--root", join(scratch, "podman"), "--runroot", join(scratch, "podman-run")],
        ...["--storage-driver", "vfs", "--events-backend", "file", ...args],
      ]);
    await podman("pull", "-q", `oci:${layout}:latest`);
    const image = (await podman("images", "-q")).stdout.trim();
    for (const tls of [false, true]) {
      await using registry = await TugRegistry.start({ tls });
      const name = `${registry.address}/podman/app:1`;
      const certificates = join(scratch, `certs-podman-${tls}`);
      mkdirSync(certificates);
      if (tls) copyFileSync(registry.ca, join(certificates, "ca.crt"));
      const how = tls ? [`--cert-dir=${certificates}`] : ["--tls-verify=false"];
      await podman("push", "-q", ...how, image, name);
      await podman("pull", "-q", ...how, name);
      expect((await podman("images", "-q", name)).stdout.trim()).toBe(image);
    }
  });
});

describe("tug and the docker CLI", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.start();
  });
  afterAll(() => daemon.close());

  test("log in, push, pull, and are refused without a password", async () => {
    await using registry = await TugRegistry.start({ users: { alice: "s3cret" } });
    const name = `${registry.address}/team/busybox:1`;
    await daemon.ok(["tag", "busybox", name]);
    const config = { DOCKER_CONFIG: join(scratch, "docker-config") };
    const refused = await daemon.tug(["push", name], { env: config });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("no basic auth credentials");
    const docker = Bun.which("docker");
    for (const client of docker ? ["tug", "docker"] : ["tug"]) {
      const call = (args: string[], input?: string) =>
        client === "tug"
          ? daemon.tug(args, { env: config, ...(input !== undefined && { input }) })
          : run(["docker", ...args], {
              env: { DOCKER_HOST: daemon.host, ...config },
              ...(input !== undefined && { input }),
            });
      const wrong = await call(["login", "-u", "alice", "--password-stdin", registry.address], "wrong");
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("401 Unauthorized")]);
      expect(
        await call(["login", "-u", "alice", "--password-stdin", registry.address], "s3cret"),
      ).toMatchObject({ code: 0 });
      expect(await call(["push", name])).toMatchObject({ code: 0 });
      const id = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", name]);
      await daemon.ok(["rmi", name]);
      expect(await call(["pull", name])).toMatchObject({ code: 0 });
      expect(await daemon.ok(["image", "inspect", "-f", "{{.Id}}", name])).toBe(id);
      expect(await call(["logout", registry.address])).toMatchObject({ code: 0 });
    }
  });

  test("whoever has no password may pull where everybody may, and push not", async () => {
    await using registry = await TugRegistry.start({
      users: { alice: "s3cret" },
      flags: ["--anonymous-pull"],
    });
    const name = `${registry.address}/open/busybox:1`;
    await daemon.ok(["tag", "busybox", name]);
    const known = { DOCKER_CONFIG: join(scratch, "docker-known") };
    const nobody = { DOCKER_CONFIG: join(scratch, "docker-nobody") };
    await daemon.ok(["login", "-u", "alice", "--password-stdin", registry.address], {
      input: "s3cret",
      env: known,
    });
    await daemon.ok(["push", name], { env: known });
    await daemon.ok(["rmi", name]);
    await daemon.ok(["pull", name], { env: nobody });
    expect((await daemon.tug(["push", name], { env: nobody })).code).toBe(1);
    if (Bun.which("skopeo")) await ok(["skopeo", "inspect", "--tls-verify=false", `docker://${name}`]);
  });
});

const noDocker = RealDocker.missing();
if (noDocker !== undefined) console.log(`registry clients: ${noDocker}`);
describe.skipIf(noDocker !== undefined)("Debian's dockerd", () => {
  test("pushes, pulls and searches", async () => {
    const docker = await RealDocker.start();
    try {
      await using registry = await TugRegistry.start({ networkOf: docker.pid });
      const name = `${registry.address}/debian/busybox:1`;
      await docker.ok(["tag", "busybox", name]);
      const pushed = await docker.ok(["push", name]);
      const digest = /digest: (sha256:\w+)/.exec(pushed)?.[1];
      await docker.ok(["rmi", name]);
      expect(await docker.ok(["pull", name])).toContain(`Digest: ${digest}`);
      const found = await docker.ok(["search", "--format", "{{.Name}}", `${registry.address}/busy`]);
      expect(found).toBe("debian/busybox");
    } finally {
      await docker.close();
    }
  });
});
