import { expect } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, type TestDaemon } from "../../harness/daemon.ts";
import { mountPoints } from "../../harness/machine.ts";

/** Files of the host that attacks aim at. */
export class Canary {
  readonly path: string;
  readonly #before: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { mode: 0o751 });
    writeFileSync(join(path, "victim"), "untouched", { mode: 0o640 });
    this.#before = this.#look();
  }

  /** Everything but when it was read. */
  #look(): string {
    const of = (path: string) => {
      const { mode, uid, gid, size, nlink, mtimeMs, ctimeMs, ino } = lstatSync(path);
      return [path, mode, uid, gid, size, nlink, mtimeMs, ctimeMs, ino].join(" ");
    };
    const files = readdirSync(this.path).sort();
    const texts = files.map((name) => `${of(join(this.path, name))} ${readFileSync(join(this.path, name))}`);
    const host = ["/etc", "/etc/passwd"].map((path) => {
      const { mode, uid, gid, nlink } = lstatSync(path);
      return [path, mode, uid, gid, nlink].join(" ");
    });
    // A file beside this one may give an account subordinate ids meanwhile: usermod locks, copies and replaces those.
    const names = readdirSync("/etc").filter(
      (name) => !/^(?:sub[ug]id|passwd|g?shadow|group)[.+-]/.test(name),
    );
    host.push(names.sort().join(" "), readFileSync("/etc/passwd", "utf8"));
    return [of(this.path), ...texts, ...host].join("\n");
  }

  check(): void {
    expect(this.#look()).toBe(this.#before);
  }
}

/** Every blob, snapshot, half-done download and mount that a daemon has: what a refused image must not add to. */
export function stored(daemon: TestDaemon, driver = "overlay2"): string {
  const folders = [
    driver,
    `${driver}/.trash`,
    "content/ingest",
    "content/trash",
    "content/blobs/sha256",
    "content/blobs/sha512",
  ];
  const found = folders.flatMap((folder) =>
    readdirSync(join(daemon.dataRoot, folder)).map((name) => join(folder, name)),
  );
  return [...found.sort(), ...mountPoints().filter((point) => point.startsWith(`${daemon.root}/`))].join(
    "\n",
  );
}

/** What was on its way in or out when it was looked at. */
const passing = /^[^/].*\/(?:\.trash|trash|ingest)\/./;

/** Waits until the daemon holds what it held before. */
export async function unchanged(
  daemon: TestDaemon,
  before: string,
  what: string,
  driver?: string,
): Promise<void> {
  const lasting = before.split("\n").filter((line) => !passing.test(line));
  const same = () => stored(daemon, driver) === lasting.join("\n");
  await eventually(`nothing is left of ${what}`, same, 20_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${difference(before, stored(daemon, driver))}`);
  });
}

function difference(before: string, after: string): string {
  const old = new Set(before.split("\n"));
  return after
    .split("\n")
    .filter((line) => !old.has(line))
    .join("\n");
}
