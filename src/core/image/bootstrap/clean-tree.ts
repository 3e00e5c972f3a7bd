import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** What a run leaves that says nothing of the packages: removed with everything below, or emptied. */
const removed = [
  "debootstrap",
  "etc/dpkg/dpkg.cfg.d/bootstrap-unsafe-io",
  "etc/hostname",
  "etc/resolv.conf",
  "var/cache/ldconfig/aux-cache",
  "var/lib/dbus/machine-id",
  "var/lib/systemd/random-seed",
  "var/lib/dpkg/available-old",
  "var/lib/dpkg/status-old",
  "var/lib/dpkg/diversions-old",
  "var/lib/dpkg/statoverride-old",
];
const emptied = ["var/lib/apt/lists", "var/cache/apt", "var/log/apt", "tmp", "var/tmp", "dev", "run"];

const day = 86_400;

/**
 * Takes from a fresh tree what differs from run to run, so that equal packages make equal layers: caches, lists, logs, identities, and
 * the day on which passwords were set. `root` must be this process's own root or lie where no link leads out of it.
 */
export function cleanTree(root: string, times: { readonly epoch: number; readonly started: number }): void {
  const at = (path: string) => join(root, path);
  for (const path of removed) rmSync(at(path), { recursive: true, force: true });
  for (const path of emptied) {
    for (const name of entries(at(path))) {
      // /run/lock and the like are part of the system; what lies in them is not.
      const kept = path === "run" && lstatSync(at(`run/${name}`)).isDirectory();
      if (!kept) rmSync(at(`${path}/${name}`), { recursive: true, force: true });
    }
  }
  for (const name of entries(at("etc/ssh"))) {
    if (/^ssh_host_.*_key(\.pub)?$/.test(name)) rmSync(at(`etc/ssh/${name}`));
  }
  for (const name of entries(at("var/cache/debconf"))) {
    if (name.endsWith("-old")) rmSync(at(`var/cache/debconf/${name}`));
  }
  cleanLogs(at("var/log"));
  if (existsSync(at("etc/machine-id"))) truncateSync(at("etc/machine-id"));
  for (const name of ["shadow", "shadow-"]) cleanShadow(at(`etc/${name}`), times);
}

function entries(path: string): readonly string[] {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(path) : [];
}

/** Logs of the installation go; what packages bring for later (wtmp, lastlog) stays, empty. */
function cleanLogs(folder: string): void {
  for (const name of entries(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) cleanLogs(path);
    else if (name.endsWith(".log")) rmSync(path);
    else if (lstatSync(path).isFile()) truncateSync(path);
  }
}

/** The third field is the day of the last change (shadow(5)). */
function cleanShadow(path: string, { epoch, started }: { epoch: number; started: number }): void {
  if (!existsSync(path)) return;
  const today = Math.floor(started / day);
  const lines = readFileSync(path, "utf8").split("\n");
  const clean = lines.map((line) => {
    const fields = line.split(":");
    if (Number(fields[2] || 0) >= today) fields[2] = String(Math.floor(epoch / day));
    return fields.join(":");
  });
  writeFileSync(path, clean.join("\n"));
}
