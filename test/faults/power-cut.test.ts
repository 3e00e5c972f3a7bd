import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomNumbers } from "../../src/base/lib/testdata/random-numbers.ts";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { RecordedDisk, type Survivors } from "../harness/recorded-disk.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Repeat a failure with the number it printed; look longer with more cuts. */
const seed = Number(process.env["TUG_POWER_SEED"] ?? Date.now() % 1_000_000);
const cuts = Number(process.env["TUG_POWER_CUTS"] ?? 12);
const missing = RecordedDisk.missing() ?? TestRegistry.missing();
if (missing) console.log(`no power cuts: ${missing}`);

let root = "";
let disk: RecordedDisk;
let daemon: TestDaemon;
let registry: TestRegistry;
beforeAll(async () => {
  if (missing) return;
  root = mkdtempSync("/tmp/tug-power-");
  disk = await RecordedDisk.create(join(root, "disk"), join(root, "data"));
  mkdirSync(join(root, "tug/data"), { recursive: true });
  writeFileSync(join(root, "boot"), "first\n");
  const binds = [
    [disk.mountPoint, join(root, "tug/data")],
    [join(root, "boot"), "/proc/sys/kernel/random/boot_id"],
  ].map((paths) => `mount --bind ${paths.join(" ")}`);
  // Mounts of its own, so that each start believes in another boot of the machine, and what it mounts ends with it.
  const script = [...binds, 'exec "$@"'].join(" && ");
  const launcher = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"];
  registry = await TestRegistry.start();
  daemon = await TestDaemon.start({ root: join(root, "tug"), busybox: false, launcher });
}, 120_000);
afterAll(async () => {
  if (missing) return;
  // The last one first, and each whatever becomes of the others.
  await using left = new AsyncDisposableStack();
  left.defer(() => rmSync(root, { recursive: true, force: true }));
  left.defer(() => registry?.close());
  left.defer(() => disk?.close());
  left.defer(() => daemon?.powerCut());
}, 120_000);

/** What somebody was told, and from when to when in the disk's log it must be true. */
interface Promised {
  readonly what: string;
  readonly from: number;
  until: number;
  readonly kept: () => Promise<boolean>;
}

const promises: Promised[] = [];
/** Files of each image, by its id, as they were when it was made. */
const contents = new Map<string, string>();

function promise(what: string, kept: () => Promise<boolean>): Promised {
  const promised = { what, from: disk.now, until: Number.POSITIVE_INFINITY, kept };
  promises.push(promised);
  return promised;
}

async function answers(...args: string[]): Promise<boolean> {
  const { code, stderr } = await daemon.tug(args);
  if (code !== 0) console.log(`tug ${args.join(" ")}: ${stderr}`);
  return code === 0;
}

/** Every file of an image's layers: kind, mode, owner, size, bytes. */
async function filesOf(image: string): Promise<string> {
  const data = await daemon.ok(["image", "inspect", "-f", "{{json .GraphDriver.Data}}", image]);
  const { UpperDir, LowerDir } = JSON.parse(data) as { UpperDir: string; LowerDir?: string };
  let text = "";
  for (const layer of [UpperDir, ...(LowerDir ?? "").split(":").filter(Boolean)]) {
    const path = layer.replace(daemon.dataRoot, disk.mountPoint);
    const script = `cd ${path} && find . -printf '%y %m %U:%G %p %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 -r sha256sum`;
    const { code, stdout, stderr } = await run(["bash", "-c", `set -o pipefail; ${script}`]);
    if (code !== 0) throw new Error(stderr);
    text += stdout;
  }
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

async function promiseImage(name: string): Promise<Promised> {
  const promised = promise(`image ${name}`, () => answers("image", "inspect", name));
  const id = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", name]);
  if (!contents.has(id)) contents.set(id, await filesOf(name));
  return promised;
}

const inVolume = (text: string) =>
  daemon.ok([
    ...["run", "--rm", "-v", "kept:/kept", "base", "sh", "-c"],
    `echo ${text} | dd of=/kept/${text} conv=fsync 2>/dev/null`,
  ]);

/** A little of everything that writes to the data root. */
async function story(): Promise<void> {
  const name = `${registry.address}/story`;
  await daemon.importBusybox("base");
  await promiseImage("base");
  await daemon.ok(["volume", "create", "kept"]);
  promise("volume kept", () => answers("volume", "inspect", "kept"));
  await inVolume("early");
  promise("what was synced in the volume", async () => {
    const path = join(disk.mountPoint, "volumes/kept/_data/early");
    return readFileSync(path, "latin1") === "early\n";
  });
  const fill =
    "head -c 3000000 /dev/urandom >/large; mkdir /many; for i in $(seq 60); do echo $i >/many/$i; done; rm /etc/group";
  await daemon.ok(["run", "--name", "writer", "base", "sh", "-c", fill]);
  await daemon.ok(["commit", "writer", "one"]);
  await promiseImage("one");
  await daemon.ok(["run", "--name", "again", "one", "sh", "-c", "rm -r /many; echo more >/more"]);
  await daemon.ok(["commit", "again", name]);
  const committed = await promiseImage(name);
  await daemon.ok(["push", "-q", name]);
  await daemon.ok(["rm", "writer", "again"]);
  committed.until = disk.now;
  await daemon.ok(["rmi", name]);
  await daemon.ok(["pull", "-q", name]);
  await promiseImage(name);
  const archive = join(root, "archive.tar");
  await daemon.ok(["save", "-o", archive, "one"]);
  const one = promises.find(({ what }) => what === "image one");
  if (one) one.until = disk.now;
  await daemon.ok(["rmi", "one"]);
  await daemon.ok(["load", "-q", "-i", archive]);
  await promiseImage("one");
  await build();
  await inVolume("late");
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "runs",
    "-v",
    "/anonymous",
    "--restart",
    "always",
    "base",
    "sleep",
    "1000",
  ]);
  await daemon.ok(["commit", "runs", "two"]);
  await promiseImage("two");
  await daemon.ok(["network", "create", "joins"]);
  await daemon.ok(["create", "--name", "made", "--network", "joins", "base", "true"]);
  // Their records are synced a moment later: the disk flushes, and then rests.
  const recorded = disk.now;
  let [flushes, last] = [0, performance.now()];
  await eventually(
    "the records are synced",
    async () => {
      const now = disk.flushes.filter((at) => at > recorded).length;
      if (now > flushes) [flushes, last] = [now, performance.now()];
      return flushes > 0 && performance.now() - last > 1500 && (await isAtRest());
    },
    60_000,
  );
  for (const kind of ["container", "network"])
    promise(`${kind} made`, () => answers(kind, "inspect", kind === "container" ? "made" : "joins"));
}

/** The daemon comes to its timers, and none of its threads waits for the disk: on a machine under load both take their time. */
async function isAtRest(): Promise<boolean> {
  const fdatasync = process.arch === "arm64" ? 83 : 75;
  for (let looks = 0; looks < 3; looks++) {
    if (!(await daemon.ping())) return false;
    const tasks = `/proc/${daemon.pid}/task`;
    const calls = readdirSync(tasks).map((task) => callOf(join(tasks, task)));
    if (calls.includes(fdatasync)) return false;
  }
  return true;
}

/** Number of the system call that a thread is in; proc(5). */
function callOf(task: string): number {
  try {
    return Number.parseInt(readFileSync(join(task, "syscall"), "latin1"), 10);
  } catch (error) {
    // It ended while we looked.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return -1;
    throw error;
  }
}

/** Two stages, a context, what a step keeps for the next build, and the same once more from the cache. */
async function build(): Promise<void> {
  const context = join(root, "context");
  mkdirSync(join(context, "many"), { recursive: true });
  for (let i = 0; i < 40; i++) writeFileSync(join(context, "many", `${i}`), `${i}\n`.repeat(i));
  const dockerfile = (last: string) => `FROM base AS first
RUN --mount=type=cache,target=/cache head -c 2000000 /dev/urandom >/noise; echo kept >/cache/x
FROM base
COPY many /many
COPY --from=first /noise /noise
RUN rm /many/1; mkdir /more; for i in $(seq 50); do echo $i >/more/$i; done
RUN echo ${last} >/last
`;
  for (const name of ["built", "rebuilt"]) {
    writeFileSync(join(context, "Dockerfile"), dockerfile(name));
    await daemon.ok(["build", "-q", "-t", name, context], { timeout: 60_000 });
    await promiseImage(name);
  }
  const built = promises.find(({ what }) => what === "image built");
  if (built) built.until = disk.now;
  await daemon.ok(["rmi", "built"]);
  await daemon.ok(["builder", "prune", "-f"]);
}

const survivors: readonly Survivors[] = ["none", "all", "writes", "blocks", "blocks"];

test.skipIf(missing !== undefined)(
  `${cuts} power cuts during import, commit, pull, load, build and removal: a sound store every time, and what was told is true (seed ${seed})`,
  async () => {
    const begin = disk.now;
    await story();
    await daemon.powerCut();
    await disk.stopRecording();
    const random = randomNumbers(seed);
    const flushes = disk.flushes.filter((at) => at > begin);
    const end = disk.now;
    const moments = Array.from({ length: cuts }, () => {
      const flush = Math.floor(random() * flushes.length);
      const from = flushes[flush] ?? begin;
      return from + Math.floor(random() * ((flushes[flush + 1] ?? end) - from));
    });
    for (const [index, at] of moments.sort((a, b) => a - b).entries()) {
      const how = survivors[Math.floor(random() * survivors.length)] ?? "none";
      const name = `seed ${seed}, cut at ${at} of ${end}, ${how} of the unflushed writes survive`;
      await disk.cut(at, how, random);
      writeFileSync(join(root, "boot"), `boot ${index}\n`);
      try {
        await daemon.up();
        await expectSound(at);
      } catch (error) {
        throw new Error(`${name}: ${error}\n${daemon.log.slice(-3000)}`, { cause: error });
      }
      await daemon.powerCut();
    }
  },
  180_000,
);

async function expectSound(at: number): Promise<void> {
  for (const { what, from, until, kept } of promises)
    if (from <= at && at <= until) expect({ what, kept: await kept() }).toEqual({ what, kept: true });
  const checked = await daemon.tug(["system", "check"]);
  expect(checked).toMatchObject({ code: 0 });
  const ids = (await daemon.ok(["images", "-aq", "--no-trunc"])).split("\n").filter(Boolean);
  for (const id of new Set(ids)) if (contents.has(id)) expect(await filesOf(id)).toBe(contents.get(id) ?? "");
}
