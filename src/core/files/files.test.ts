import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readTar } from "../../base/lib/tar/read.ts";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";
import { processStat } from "../../base/sys/process/pidfd.ts";
import { FilesClient, PathMissing, ViewEnded } from "./client.ts";
import type { FilesView, PutOptions } from "./protocol.ts";

const files = new FilesClient({
  helperCommand: [process.execPath, join(import.meta.dir, "../../helper/main.ts")],
});
const never = new AbortController().signal;
const plain: PutOptions = {
  noOverwriteDirNonDir: false,
  owner: undefined,
  readonlyRootfs: false,
  mounts: [],
};
let base = "";
let lower = "";
let upper = "";
let volume = "";
let view: FilesView;
let writable: FilesView;

beforeAll(() => {
  base = mkdtempSync("/tmp/tug-files-");
  [lower, upper, volume] = ["lower", "upper", "volume"].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [lower, upper, volume, join(base, "work"), join(base, "scratch")]) mkdirSync(path);
  for (const path of ["etc", "run", "var", "data"]) mkdirSync(join(lower, path));
  writeFileSync(join(lower, "etc/conf"), "lower");
  symlinkSync("/run", join(lower, "var/run"));
  symlinkSync("../../../../../../etc", join(lower, "out"));
  symlinkSync("nowhere", join(lower, "dangling"));
  writeFileSync(join(upper, "top"), "upper");
  chownSync(join(upper, "top"), 1000, 1001);
  writeFileSync(join(volume, "kept"), "in the volume");
  const binds = [
    { source: { kind: "path", path: volume, subpath: "" }, target: "/data", readonly: false },
    { source: { kind: "path", path: volume, subpath: "" }, target: "/new/place", readonly: true },
  ] as const;
  const scratch = join(base, "scratch");
  view = { kind: "stopped", scratch, root: { kind: "layers", layers: [upper, lower] }, binds };
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${join(base, "work")}`];
  const mounts = [{ type: "overlay", source: "overlay", options }];
  writable = { kind: "stopped", scratch, root: { kind: "mounts", mounts }, binds };
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function names(path: string, from: FilesView = view): Promise<string[]> {
  const { tar } = await files.get(from, path, never);
  const found: string[] = [];
  for await (const { entry } of readTar(tar)) found.push(entry.path);
  return found;
}

async function* tarOf(...members: readonly (readonly [NewTarEntry, string?])[]) {
  for (const [entry, text = ""] of members) {
    yield tarHeader({ ...entry, size: text.length });
    yield Buffer.from(text);
    yield tarPadding(text.length);
  }
  yield tarTrailer;
}

test("a path is told of as Docker tells it: its own name, Go's mode bits, where a link leads", async () => {
  expect(await files.stat(view, "/etc/../var/run")).toMatchObject({
    name: "run",
    mode: (2 ** 27 + 0o777) as number,
    linkTarget: "/run",
  });
  expect(await files.stat(view, "/var/run/")).toMatchObject({
    name: "run",
    mode: 2 ** 31 + 0o755,
    linkTarget: "",
  });
  expect(await files.stat(view, "/out")).toMatchObject({ linkTarget: "/etc" });
  expect(await files.stat(view, "/dangling")).toMatchObject({ linkTarget: "/nowhere" });
  expect(await files.stat(view, "/")).toMatchObject({ name: "/" });
  expect(await files.stat(view, "/etc/.")).toMatchObject({ name: "." });
  await expect(files.stat(view, "/nope")).rejects.toThrow(PathMissing);
  await expect(files.stat(view, "/etc/conf/x")).rejects.toThrow("lstat /etc/conf/x: not a directory");
});

test("an archive begins with the name that was asked for, and volumes are in their places", async () => {
  expect(await names("/etc")).toEqual(["etc/", "etc/conf"]);
  expect(await names("/etc/.")).toEqual(["./", "./conf"]);
  expect(await names("/etc/conf")).toEqual(["conf"]);
  expect(await names("/var/run")).toEqual(["run"]);
  expect(await names("/data")).toEqual(["data/", "data/kept"]);
  expect(await names("/new")).toEqual(["new/", "new/place/", "new/place/kept"]);
  expect(await names("/")).toContain("/data/kept");
  expect(existsSync(join(upper, "new"))).toBe(false);
});

test("looking leaves nothing mounted and nothing changed", async () => {
  const mounts = () =>
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(base));
  await names("/");
  await files.stat(view, "/data");
  expect(mounts()).toEqual([]);
  expect(existsSync(join(base, "scratch/root"))).toBe(false);
});

test("a tar is taken in with owners, modes, times, links; links on the way are followed inside", async () => {
  await files.put(
    writable,
    "/var/run",
    tarOf(
      [{ path: "d", kind: "directory", mode: 0o700, mtime: 1_000_000_000_000_000_000n }],
      [{ path: "d/f", kind: "file", mode: 0o4755, uid: 5, gid: 6 }, "text"],
      [{ path: "d/hard", kind: "link", linkPath: "d/f" }],
      [{ path: "esc", kind: "symlink", linkPath: "../../../../../../../../tmp" }],
      [{ path: "implied/deep/x", kind: "file" }, "x"],
    ),
    plain,
  );
  const run = join(upper, "run");
  expect(lstatSync(join(run, "d/f"))).toMatchObject({ uid: 5, gid: 6, mode: 0o104755, nlink: 2 });
  expect(statSync(join(run, "d")).mtimeMs).toBe(1_000_000_000_000);
  expect(readlinkSync(join(run, "esc"))).toBe("../../../../../../../../tmp");
  expect(readFileSync(join(run, "implied/deep/x"), "utf8")).toBe("x");
});

test("a link that the tar itself brings leads nowhere outside", async () => {
  const canary = join(base, "canary");
  mkdirSync(canary);
  await files
    .put(
      writable,
      "/etc",
      tarOf(
        [{ path: "way", kind: "symlink", linkPath: canary }],
        [{ path: "way/planted", kind: "file" }, "x"],
      ),
      plain,
    )
    .catch(() => undefined);
  expect(existsSync(join(canary, "planted"))).toBe(false);
  await expect(
    files.put(writable, "/etc", tarOf([{ path: "../../up", kind: "file" }]), plain),
  ).rejects.toThrow('"../../up" is outside of "/etc"');
  await expect(
    files.put(writable, "/etc", tarOf([{ path: "l", kind: "link", linkPath: "../../x" }]), plain),
  ).rejects.toThrow("invalid hardlink");
});

test("what may not be written or replaced is refused in Docker's words", async () => {
  const one = () => tarOf([{ path: "f", kind: "file" }, "x"]);
  await expect(files.put(writable, "/etc/conf", one(), plain)).rejects.toThrow(
    "extraction point is not a directory",
  );
  await expect(files.put(writable, "/nope", one(), plain)).rejects.toThrow(PathMissing);
  await expect(files.put(writable, "/etc", one(), { ...plain, readonlyRootfs: true })).rejects.toThrow(
    "container rootfs is marked read-only",
  );
  const mounts = [{ target: "/new/place", readonly: true }];
  await expect(files.put(writable, "/new/place", one(), { ...plain, mounts })).rejects.toThrow(
    "mounted volume is marked read-only",
  );
  // The mount itself is read-only as well, whatever was checked before.
  await expect(files.put(writable, "/new/place", one(), plain)).rejects.toThrow("read-only file system");
  const guarded = { ...plain, noOverwriteDirNonDir: true };
  await expect(files.put(writable, "/", tarOf([{ path: "etc", kind: "file" }]), guarded)).rejects.toThrow(
    'cannot overwrite directory "/etc" with non-directory "/"',
  );
  await expect(
    files.put(writable, "/etc", tarOf([{ path: "conf", kind: "directory" }]), guarded),
  ).rejects.toThrow('cannot overwrite non-directory "/etc/conf" with directory "/etc"');
  await expect(files.put(writable, "/", tarOf([{ path: "data", kind: "file" }]), plain)).rejects.toThrow(
    "device or resource busy",
  );
  expect(existsSync(join(volume, "kept"))).toBe(true);
});

test("an owner that was asked for is looked up inside, and compressed tars are inflated here", async () => {
  writeFileSync(join(lower, "etc/passwd"), "app:x:77:78::/:/bin/sh\n");
  writeFileSync(join(lower, "etc/group"), "app:x:78:\n");
  const parts: Uint8Array[] = [];
  for await (const part of tarOf([{ path: "owned", kind: "file", uid: 1 }, "z"])) parts.push(part);
  const packed = Bun.gzipSync(Buffer.concat(parts));
  const source = async function* () {
    yield packed;
  };
  await files.put(writable, "/data", source(), { ...plain, owner: "app" });
  expect(lstatSync(join(volume, "owned"))).toMatchObject({ uid: 77, gid: 78 });
});

test("a damaged tar fails and a vanished process is told apart", async () => {
  const garbage = async function* () {
    yield Buffer.from("garbage".repeat(200));
  };
  await expect(files.put(writable, "/run", garbage(), plain)).rejects.toThrow(
    "archive/tar: invalid tar header",
  );
  const ended: FilesView = { kind: "running", pid: process.pid, startTime: "1", entered: [] };
  await expect(files.stat(ended, "/")).rejects.toThrow(ViewEnded);
});

test("a running process's own mounts are seen, and a mounted file is never unlinked from outside", async () => {
  const mounted = join(base, "mounted");
  writeFileSync(mounted, "volume file");
  const script = `mount -t tmpfs t ${base}/scratch && touch ${base}/scratch/f ${base}/scratch/m && mount --bind ${mounted} ${base}/scratch/m && echo ready && exec sleep 1000`;
  const child = Bun.spawn(["unshare", "-m", "sh", "-c", script], { stdout: "pipe" });
  try {
    const reader = child.stdout.getReader();
    await reader.read();
    const startTime = processStat(child.pid)?.startTime ?? "";
    const scratch = join(base, "scratch");
    const running: FilesView = { kind: "running", pid: child.pid, startTime, entered: [scratch] };
    expect(await names(scratch, running)).toEqual(["scratch/", "scratch/f", "scratch/m"]);
    await files.put(running, scratch, tarOf([{ path: "f", kind: "file" }, "new"]), plain);
    await expect(
      files.put(running, scratch, tarOf([{ path: "m", kind: "file" }, "new"]), plain),
    ).rejects.toThrow(`unlinkat ${scratch}/m: device or resource busy`);
    await expect(
      files.put(running, base, tarOf([{ path: "scratch", kind: "file" }, "new"]), plain),
    ).rejects.toThrow("device or resource busy");
    expect(readFileSync(mounted, "utf8")).toBe("volume file");
    await expect(files.stat(running, `/proc/${child.pid}/root/etc`)).rejects.toThrow(
      "too many levels of symbolic links",
    );
    expect(existsSync(join(scratch, "f"))).toBe(false);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("a helper that ends before it was told what to do is told of by its end, not by its broken pipe", async () => {
  const broken = new FilesClient({ helperCommand: ["/bin/false"] });
  // Some have ended by then.
  for (let i = 0; i < 60; i++)
    await expect(broken.stat(view, "/")).rejects.toThrow("the files helper ended with exit code 1");
});

test("whoever stops reading, or aborts, ends the helper", async () => {
  const abort = new AbortController();
  const { tar } = await files.get({ kind: "directory", path: "/usr" }, "/", abort.signal);
  await tar.next();
  abort.abort();
  await expect(
    (async () => {
      for await (const _chunk of tar);
    })(),
  ).rejects.toThrow();
  const { tar: other } = await files.get({ kind: "directory", path: "/usr" }, "/", never);
  await other.next();
  await other.return();
});
