import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeRegistry, noise } from "../../src/core/distribution/testdata/fake-registry.ts";
import { eventually, TestDaemon } from "../harness/daemon.ts";

/** Pulls whose registry, connection or daemon fails half way. The registry is this process's, and counts what it is asked for. */
const size = 48 * 1024 * 1024;
let daemon: TestDaemon;
let scratch: string;
let layer: Uint8Array;
let registry: FakeRegistry;

beforeAll(async () => {
  scratch = mkdtempSync("/tmp/tug-distribution-");
  mkdirSync(join(scratch, "root"));
  writeFileSync(join(scratch, "root", "data"), noise(size));
  Bun.spawnSync(["tar", "-C", join(scratch, "root"), "-cf", join(scratch, "layer.tar"), "data"]);
  layer = readFileSync(join(scratch, "layer.tar"));
  const certs = join(scratch, "certs.d");
  mkdirSync(certs);
  daemon = await TestDaemon.start({ flags: ["--registry-config-dir", certs, "--registries-conf", ""] });
}, 120_000);
afterEach(async () => {
  registry[Symbol.dispose]();
  await daemon.assertClean();
}, 120_000);
afterAll(async () => {
  await daemon.close();
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

interface Part {
  readonly from: number;
  readonly to: number;
}

/** How much of the layer these are together, wherever they overlap. */
function covered(parts: readonly Part[]): number {
  let [sum, end] = [0, 0];
  for (const { from, to } of [...parts].sort((one, other) => one.from - other.from)) {
    sum += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return sum;
}

/** Bytes of the layer that wait in the content store for the rest; a piece that is just being appended is there twice. */
function held(): number {
  const ingest = join(daemon.dataRoot, "content", "ingest");
  return covered(
    readdirSync(ingest).map((name) => {
      const from = Number(name.split(".")[1] ?? 0);
      return { from, to: from + (statSync(join(ingest, name), { throwIfNoEntry: false })?.size ?? 0) };
    }),
  );
}

/** What of the layer was asked for; on a machine that stands still for a while some of it more than once. */
function asked(digest: string): readonly Part[] {
  return registry.requests.flatMap(({ line, headers }) => {
    if (!line.startsWith("GET ") || !line.endsWith(digest)) return [];
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
    if (!range) return [{ from: 0, to: layer.byteLength }];
    return [{ from: Number(range[1]), to: Number(range[2] || layer.byteLength - 1) + 1 }];
  });
}

test("a daemon killed in a pull over several connections goes on with every byte it had", async () => {
  registry = new FakeRegistry();
  const image = registry.addImage("app", "1", [layer]);
  const digest = image.layers[0]?.digest ?? "";
  registry.rate = 6 * 1024 * 1024;
  const pulling = daemon.tug(["pull", `${registry.host}/app:1`]);
  await eventually(
    "a good part has come, over several connections",
    () => {
      const ranges = registry.requests.filter((each) => each.headers.has("range")).length;
      return ranges >= 2 && held() > size / 3;
    },
    60_000,
  );
  await daemon.crash();
  expect((await pulling).code).not.toBe(0);
  const before = held();
  expect(before).toBeGreaterThan(size / 3);
  await daemon.up();
  registry.requests.length = 0;
  registry.rate = undefined;
  await daemon.ok(["pull", `${registry.host}/app:1`], { timeout: 60_000 });
  expect(covered(asked(digest))).toBe(layer.byteLength - before);
  expect(held()).toBe(0);
  await daemon.ok(["rmi", `${registry.host}/app:1`]);
}, 120_000);

test("a registry that ends in the middle of a layer is followed by the next one where it was", async () => {
  registry = new FakeRegistry();
  const image = registry.addImage("app", "2", [layer]);
  const digest = image.layers[0]?.digest ?? "";
  const mirror = new FakeRegistry();
  mirror.addImage("app", "2", [layer]);
  mirror.rate = 6 * 1024 * 1024;
  const from = mirror.origin;
  const directory = join(scratch, "certs.d", registry.host);
  mkdirSync(directory);
  writeFileSync(
    join(directory, "hosts.toml"),
    `server = "${registry.origin}"\n[host."${mirror.origin}"]\ncapabilities = ["pull", "resolve"]\n`,
  );
  const pulling = daemon.tug(["pull", "--explain", `${registry.host}/app:2`], { timeout: 60_000 });
  await eventually("a good part has come", () => held() > size / 4, 60_000);
  const before = held();
  mirror[Symbol.dispose]();
  const pulled = await pulling;
  expect(pulled.stderr).toBe("");
  expect(pulled.code).toBe(0);
  expect(covered(asked(digest))).toBeLessThanOrEqual(layer.byteLength - before);
  expect(pulled.stdout).toContain(`manifest 2: ${from} app (${directory}/hosts.toml) answered`);
  expect(pulled.stdout).toContain(`blob ${digest}: ${from} app (${directory}/hosts.toml) failed`);
  expect(pulled.stdout).toContain(
    `blob ${digest}: ${registry.origin} app (${directory}/hosts.toml) answered`,
  );
  await daemon.ok(["rmi", `${registry.host}/app:2`]);
}, 120_000);

/** A pull through the API: resolves once bytes of a layer arrive, and hands over the promise of all it said. */
async function pullByApi(name: string, signal?: AbortSignal): Promise<{ readonly done: Promise<string> }> {
  const query = new URLSearchParams({ fromImage: `${registry.host}/${name}`, tag: "1" });
  const response = await fetch(`http://tug/images/create?${query}`, {
    unix: daemon.socket,
    method: "POST",
    ...(signal ? { signal } : {}),
  });
  const downloading = Promise.withResolvers<void>();
  const read = async () => {
    let said = "";
    for await (const chunk of response.body ?? []) {
      said += new TextDecoder().decode(chunk);
      if (said.includes('"Downloading"')) downloading.resolve();
    }
    return said;
  };
  const done = read();
  done.then(
    (said) => downloading.reject(new Error(`it ended before it downloaded anything: ${said}`)),
    downloading.reject,
  );
  await downloading.promise;
  return { done };
}

test("of several pulls of one layer one fetches it, and who leaves does not end it for the others", async () => {
  registry = new FakeRegistry();
  for (const name of ["one", "two", "three"]) registry.addImage(name, "1", [layer]);
  const { digest } = registry.addBlob(layer);
  registry.rate = 12 * 1024 * 1024;
  const leave = new AbortController();
  const leaving = await pullByApi("one", leave.signal);
  const staying = [await pullByApi("two"), await pullByApi("three")];
  leave.abort();
  await leaving.done.catch(() => "left");
  for (const { done } of staying) expect(await done).toContain("Downloaded newer image");
  const gets = registry.lines(new RegExp(`^GET .*${digest}`));
  expect(gets.filter((line) => !line.includes("/one/"))).toEqual([]);
  // Nobody began anew. (Who has nothing left to do asks for half of what another still waits for, so the sum tells nothing.)
  expect(asked(digest).filter(({ from }) => from === 0).length).toBe(1);
  for (const name of ["two", "three"]) await daemon.ok(["rmi", `${registry.host}/${name}:1`]);
}, 120_000);
