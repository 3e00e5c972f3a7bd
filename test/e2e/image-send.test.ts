import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { FakeSsh } from "../harness/fake-ssh.ts";
import { RealDocker } from "../harness/real-docker.ts";

/** Images from one daemon to another: only what lacks there is sent, by file and by connection. */
const noDocker = RealDocker.missing();
if (noDocker) console.log(`skipped: sending to the real Docker: ${noDocker}`);

const scratch = mkdtempSync("/tmp/tug-send-");
let here: TestDaemon;
let there: TestDaemon;
let docker: RealDocker | undefined;
let tugSsh: FakeSsh;

/** busybox and two layers of its own, each of a mebibyte that does not compress. */
async function makeImage(name: string): Promise<void> {
  let from = "busybox";
  for (const part of ["one", "two"]) {
    await here.ok([
      "run",
      "--name",
      "maker",
      "--network",
      "none",
      from,
      "dd",
      "if=/dev/urandom",
      `of=/${part}`,
      "bs=1M",
      "count=1",
    ]);
    await here.ok(["commit", "maker", name]);
    await here.ok(["rm", "maker"]);
    from = name;
  }
}

const idOf = (daemon: TestDaemon, name: string) => daemon.ok(["image", "inspect", "-f", "{{.Id}}", name]);
const inventoryOf = async (daemon: TestDaemon) =>
  JSON.parse(await daemon.ok(["image", "inventory"])) as {
    Version: number;
    Blobs: string[];
    Chains: string[];
  };

/** Digests of an image's layers, bottom first. */
async function layersOf(name: string): Promise<readonly string[]> {
  const archive = join(scratch, "layers.tar");
  await here.ok(["save", "-o", archive, name]);
  const tar = Bun.spawnSync(["tar", "-xOf", archive, "manifest.json"]).stdout.toString();
  const [image] = JSON.parse(tar) as { Layers: string[] }[];
  return (image?.Layers ?? []).map((path) => path.replace("blobs/sha256/", "sha256:"));
}

const short = (digest = "") => digest.slice(7, 19);

beforeAll(async () => {
  [here, there, docker] = await Promise.all([
    TestDaemon.start(),
    TestDaemon.start(),
    noDocker ? undefined : RealDocker.start(),
  ]);
  tugSsh = new FakeSsh(join(scratch, "tug"), "tug");
  await makeImage("app");
}, 120_000);

afterAll(async () => {
  await Promise.all([here?.close(), there?.close(), docker?.close()]);
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

test("every command works through ssh, by option and by environment, with input and exit code", async () => {
  const host = `ssh://me@far:2222${there.socket}`;
  const name = await there.ok(["info", "-f", "{{.ID}}"]);
  expect(await here.ok(["-H", host, "info", "-f", "{{.ID}}"], { env: tugSsh.env })).toBe(name);
  const ran = await here.tug(
    ["run", "--rm", "-i", "--network", "none", "busybox", "sh", "-c", "cat; exit 7"],
    {
      env: { ...tugSsh.env, DOCKER_HOST: host },
      input: "hello\n",
    },
  );
  expect(ran).toMatchObject({ code: 7, stdout: "hello\n" });
  expect(readFileSync(tugSsh.log, "utf8")).toContain("-l me -p 2222 -- far ");
  const refused = await here.tug(["-H", "ssh://far/nowhere.sock", "ps"], { env: tugSsh.env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("nowhere.sock");
}, 120_000);

test("image send takes over ssh only the layers that lack there, and the image keeps its id", async () => {
  const layers = await layersOf("app");
  const destination = `ssh://far${there.socket}`;
  const out = await here.ok(["image", "send", "app", destination], { env: tugSsh.env });
  expect(out).toContain(`${short(layers[0])}: Layer already exists`);
  for (const layer of layers.slice(1)) expect(out).toContain(`${short(layer)}: Sent`);
  expect(out).toContain("Loaded image: app:latest");
  expect(await idOf(there, "app")).toBe(await idOf(here, "app"));
  expect(await there.ok(["run", "--rm", "--network", "none", "app", "wc", "-c", "/one"])).toBe(
    "1048576 /one",
  );
  const again = await here.ok(["image", "send", "app", there.host]);
  expect(again).not.toContain("Loading");
  for (const layer of layers) expect(again).toContain(`${short(layer)}: Layer already exists`);
  await there.ok(["rmi", "app"]);
}, 120_000);

test("an archive for an inventory leaves out what it tells of, and is refused where that is not", async () => {
  const [inventory, partial, whole] = ["inventory.json", "partial.tar", "whole.tar"].map((name) =>
    join(scratch, name),
  );
  await there.ok(["image", "inventory", "-o", inventory ?? ""]);
  await here.ok(["save", "-o", whole ?? "", "app"]);
  await here.ok(["save", "--missing-on", inventory ?? "", "-o", partial ?? "", "app"]);
  const [base = ""] = await layersOf("app");
  const saved = statSync(whole ?? "").size - statSync(partial ?? "").size;
  expect(saved).toBeGreaterThan(100_000);
  expect(await there.ok(["load", "-i", partial ?? ""])).toContain("Loaded image: app:latest");
  expect(await idOf(there, "app")).toBe(await idOf(here, "app"));
  await there.ok(["rmi", "app", "busybox"]);
  const refused = await there.tug(["load", "-i", partial ?? ""]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`the archive leaves out layers that are not here: ${base}`);
  expect(await there.ok(["images", "-q"])).toBe("");
  expect((await inventoryOf(there)).Blobs).toEqual([]);
  await there.importBusybox();
}, 120_000);

test("what is no inventory is refused with what is wrong", async () => {
  const file = join(scratch, "bad.json");
  for (const [text, complaint] of [
    ["nonsense", "cannot read the inventory"],
    ["{}", "this is no inventory"],
    ['{"Version": 2}', "only version 1 is known"],
    ['{"Version": 1, "Blobs": ["x"]}', "which is no digest"],
  ] as const) {
    writeFileSync(file, text);
    const refused = await here.tug(["save", "--missing-on", file, "-o", join(scratch, "never.tar"), "app"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(complaint);
  }
}, 120_000);

test("after a broken connection the layers that had come whole are not sent again", async () => {
  const layers = await layersOf("app");
  const archive = readFileSync(join(scratch, "layers.tar"));
  const load = (query: string) =>
    fetch(`http://tug/images/load?${query}`, {
      unix: there.socket,
      method: "POST",
      // Cut in the second of the image's own layers.
      body: archive.subarray(0, archive.length - 600_000),
    }).then((reply) => reply.text());
  expect(await load("quiet=1")).toContain("error");
  expect((await inventoryOf(there)).Blobs).not.toContain(layers[1] ?? "");
  expect(await load("quiet=1&keep=1")).toContain("error");
  expect((await inventoryOf(there)).Blobs).toContain(layers[1] ?? "");
  const out = await here.ok(["image", "send", "app", there.host]);
  expect(out).toContain(`${short(layers[1])}: Layer already exists`);
  expect(out).toContain(`${short(layers[2])}: Sent`);
  expect(await idOf(there, "app")).toBe(await idOf(here, "app"));
  await there.ok(["rmi", "app"]);
  // What the first of them left is kept for an hour, or until then.
  await there.ok(["image", "prune", "-f"]);
}, 120_000);

test.skipIf(noDocker !== undefined)(
  "the real Docker gets only the layers that it has not unpacked, through its own dial-stdio, too",
  async () => {
    if (!docker) return;
    const dockerSsh = new FakeSsh(join(scratch, "docker"), "docker");
    const layers = await layersOf("app");
    const destination = `ssh://far${docker.host.slice("unix://".length)}`;
    const first = await here.ok(["image", "send", "busybox", destination], { env: dockerSsh.env });
    expect(first).toContain("Loaded image: busybox:latest");
    const out = await here.ok(["image", "send", "app", docker.host]);
    expect(out).toContain(`${short(layers[0])}: Layer already exists`);
    expect(out).toContain(`${short(layers[2])}: Sent`);
    expect(await docker.ok(["image", "inspect", "-f", "{{.Id}}", "app"])).toBe(await idOf(here, "app"));
    expect(await docker.ok(["run", "--rm", "--network", "none", "app", "wc", "-c", "/two"])).toBe(
      "1048576 /two",
    );
  },
  120_000,
);
