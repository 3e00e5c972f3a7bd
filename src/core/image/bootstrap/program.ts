import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipMember } from "../../../base/lib/compression/gzip-member.ts";
import { internal, messageOf, TugError } from "../../../base/lib/errors.ts";
import { gathered } from "../../../base/lib/gathered.ts";
import { tarTrailer } from "../../../base/lib/tar/writer.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { MNT, MS, mount, umount } from "../../../base/sys/mount/mount.ts";
import { bindDescriptor } from "../../../base/sys/mount/tree.ts";
import { leaveNetwork, limitCapabilities, pivotInto } from "../../../base/sys/process/confinement.ts";
import { walkTree } from "../../../base/sys/walk.ts";
import { TarNodes } from "../../snapshot/tar-node.ts";
import { cleanTree } from "./clean-tree.ts";
import { InstallerReports } from "./installer-reports.ts";
import type { BootstrapReport, BootstrapRequest } from "./protocol.ts";

type Report = (report: BootstrapReport) => void;

/** What maintainer scripts of packages may use: owners, modes and capabilities of files, and becoming another user. */
const ownCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETUID",
] as const;

/**
 * debootstrap looks for traces of containers and may find this host's. Told of this kind, it makes a plain tree first and does not try
 * whether devices can be made afterwards, which they cannot.
 */
const container = { container: "lxc" };

/**
 * Makes a root file system with debootstrap, in a process that has mount and pid namespaces of its own. First the packages are
 * fetched, checked and extracted by the host's programs, in a view of the host where only `scratch` and `cache` can be written; then
 * the new system, being its own root, without network and with few capabilities, configures itself. The layer goes to `write`.
 */
export async function bootstrapTree(
  request: BootstrapRequest,
  report: Report,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const started = Math.floor(Date.now() / 1000);
  enterHostView(request);
  limitCapabilities([...ownCapabilities, "CAP_MKNOD", "CAP_SYS_CHROOT"]);
  const root = join(request.scratch, "root");
  mkdirSync(root, { mode: 0o755 });
  const env = { ...container, PATH: process.env["PATH"] ?? "", ...proxies() };
  await run(firstStage(request, root), env, report);
  enterTree(root);
  leaveNetwork();
  limitCapabilities(ownCapabilities);
  // Nothing of a bootstrap that is cut short is kept: syncing each file would be for nobody.
  mkdirSync("/etc/dpkg/dpkg.cfg.d", { recursive: true });
  writeFileSync("/etc/dpkg/dpkg.cfg.d/bootstrap-unsafe-io", "force-unsafe-io\n");
  const second = ["/debootstrap/debootstrap", "--second-stage", "--debian-installer"];
  await run(["/bin/sh", ...second], container, report);
  umount("/dev", MNT.DETACH);
  const tree = openat(AT_FDCWD, "/", O.PATH | O.DIRECTORY);
  try {
    const epoch = request.epoch ?? newestFile(tree, started);
    cleanTree("/", { epoch, started });
    report({ kind: "tree", epoch, version: version() });
    for (const chunk of gathered(treeTar(tree, epoch))) {
      for (const part of gzipMember(chunk)) await write(part);
    }
  } finally {
    closeFd(tree);
  }
}

/** This host as it is, for reading; only the run's directory and the packages' cache take writes. */
function enterHostView({ scratch, cache }: BootstrapRequest): void {
  mount("", "/", "", MS.PRIVATE | MS.REC);
  const view = join(scratch, "host");
  mkdirSync(view);
  bind("/", view, true);
  for (const path of [scratch, cache]) bind(path, join(view, path), false);
  mount("proc", join(view, "proc"), "proc", MS.NOSUID | MS.NODEV | MS.NOEXEC);
  pivotInto(view);
}

/** The new tree as the only file system there is, with as much of /dev and /proc as packages need. */
function enterTree(root: string): void {
  for (const name of ["dev", "proc"]) {
    if (!lstatSync(join(root, name), { throwIfNoEntry: false })?.isDirectory())
      throw internal(`the packages of the suite make no directory /${name}`);
  }
  mount(root, root, "", MS.BIND);
  mount("", root, "", MS.BIND | MS.REMOUNT | MS.NODEV | MS.NOSUID);
  const dev = join(root, "dev");
  mount("tmpfs", dev, "tmpfs", MS.NOSUID | MS.NOEXEC, "mode=0755,size=64m");
  for (const name of ["null", "zero", "full", "random", "urandom"]) {
    writeFileSync(join(dev, name), "");
    bind(`/dev/${name}`, join(dev, name), false);
  }
  for (const name of ["shm", "pts"]) mkdirSync(join(dev, name), { mode: 0o1777 });
  for (const [name, target] of Object.entries({ fd: "fd", stdin: "fd/0", stdout: "fd/1", stderr: "fd/2" }))
    symlinkSync(`/proc/self/${target}`, join(dev, name));
  // Root without capabilities may still write to what the kernel lets root's files be written to.
  mount("proc", join(root, "proc"), "proc", MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC);
  pivotInto(root);
}

function bind(source: string, target: string, readonly: boolean): void {
  using from = opened(source);
  using to = opened(target);
  bindDescriptor(from.fd, to.fd, { readonly });
}

function opened(path: string): Disposable & { readonly fd: number } {
  const fd = openat(AT_FDCWD, path, O.PATH);
  return { fd, [Symbol.dispose]: () => closeFd(fd) };
}

function firstStage(request: BootstrapRequest, root: string): readonly string[] {
  const { variant, include, components, keyring, mirror, script } = request;
  return [
    request.program,
    "--debian-installer",
    "--foreign",
    `--arch=${request.architecture}`,
    `--cache-dir=${request.cache}`,
    ...(variant === "" ? [] : [`--variant=${variant}`]),
    ...(include.length === 0 ? [] : [`--include=${include.join(",")}`]),
    ...(components.length === 0 ? [] : [`--components=${components.join(",")}`]),
    ...(keyring === undefined ? ["--no-check-gpg"] : ["--force-check-gpg", `--keyring=${keyring}`]),
    request.suite,
    root,
    ...(mirror === undefined ? [] : [mirror, ...(script === undefined ? [] : [script])]),
  ];
}

/** Also the daemon's own way to the outside. */
function proxies(): Record<string, string> {
  const names = ["http_proxy", "https_proxy", "no_proxy"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** Runs a stage and tells how it goes; its log is kept as far as a failure needs it. */
async function run(command: readonly string[], env: Record<string, string>, report: Report): Promise<void> {
  const child = Bun.spawn(["/bin/sh", "-c", 'exec 3>&1 >&2; exec "$@"', "sh", ...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", HOME: "/root", ...env },
  });
  const reports = new InstallerReports(report);
  let log = "";
  const read = async (stream: AsyncIterable<Uint8Array>, take: (text: string) => void) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
  };
  await Promise.all([
    read(child.stdout, (text) => reports.push(text)),
    read(child.stderr, (text) => {
      log = (log + text).slice(-4000);
    }),
  ]);
  const code = await child.exited;
  if (code === 0 && !reports.failure) return;
  throw stageError(reports, code, log);
}

function stageError(reports: InstallerReports, code: number, log: string): TugError {
  const { failure, warnings } = reports;
  if (!failure) {
    const last = log.trim().split("\n").slice(-5).join("\n");
    return internal(`debootstrap ended with exit status ${code}: ${last}`);
  }
  if (["BADRELSIG", "UNKNOWNRELSIG", "SIGCHECK"].includes(failure.name)) {
    const why =
      failure.name === "SIGCHECK" ? "it has no signature that can be checked" : failure.text.split("  ")[0];
    const hint = "trust another mirror, or name the keyring of this one with --keyring";
    return new TugError("data-loss", `the mirror's Release file is refused: ${why}; ${hint}`);
  }
  const before = warnings.length === 0 ? "" : ` (${warnings.join("; ")})`;
  return new TugError("unavailable", `debootstrap: ${failure.text}${before}`);
}

/** Time of the newest file that came out of a package: what was made while this ran is newer than that. */
function newestFile(tree: number, started: number): number {
  let newest = 0n;
  for (const { stat } of walkTree(tree)) {
    if (stat.kind !== "file" && stat.kind !== "symlink") continue;
    if (stat.mtime > newest && stat.mtime < BigInt(started) * 1_000_000_000n) newest = stat.mtime;
  }
  return Number(newest / 1_000_000_000n);
}

function version(): string {
  try {
    const text = readFileSync("/etc/os-release", "utf8");
    return /^VERSION_ID="?([^"\n]*)/m.exec(text)?.[1] ?? "";
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" ? "" : messageOf(error);
  }
}

function* treeTar(tree: number, epoch: number): Generator<Uint8Array, void, undefined> {
  const nodes = new TarNodes({ wholeSeconds: true });
  const latest = BigInt(epoch) * 1_000_000_000n;
  for (const { dir, name, path, stat } of walkTree(tree)) {
    const mtime = stat.mtime > latest ? latest : stat.mtime;
    // What is mounted on it tells another mode than the directory has.
    const mode = path === "proc" ? (stat.mode & ~0o7777) | 0o755 : stat.mode;
    yield* nodes.member(dir, name, path, { ...stat, mode, mtime });
  }
  yield tarTrailer;
}
