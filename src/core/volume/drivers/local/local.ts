import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { internal, invalid, messageOf, TugError } from "../../../../base/lib/errors.ts";
import { errnoOf, storageError } from "../../../../base/lib/storage-error.ts";
import { bootId } from "../../../../base/sys/boot-id.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import { mountSpec, splitOptions, unmountIfMounted } from "../../../../base/sys/mount/mount.ts";
import { readMountInfo } from "../../../../base/sys/mount/mountinfo.ts";
import type { VolumeDriver, VolumeStore } from "../../volume.ts";
import { checkVolumeName } from "./name.ts";
import { type LocalOptions, parseLocalOptions } from "./options.ts";

export interface LocalVolumeDeps {
  /** The daemon's data root; volumes lie in <dataRoot>/volumes/<name>/_data. */
  readonly dataRoot: string;
  /** Looks a host name up for network file systems, whose mount(2) wants addresses. */
  readonly lookup: (host: string) => Promise<string>;
}

/** Written beside `_data` of a volume that is a mount of its own. */
interface OptionsFile {
  readonly options: Readonly<Record<string, string>>;
}

/** Who holds the mount. Holders of an earlier boot hold nothing. */
interface HoldersFile {
  readonly boot: string;
  readonly holders: readonly string[];
}

/**
 * Directories under the data root, or (with options) any file system mounted on such a directory while a container uses it. Nobody but
 * root may traverse the parents: a volume may hold set-uid programs of a container (CVE-2021-41091).
 */
export class LocalVolumeDriver implements VolumeDriver {
  readonly name = "local";
  readonly scope = "local";
  readonly #root: string;
  readonly #lookup: (host: string) => Promise<string>;

  constructor(deps: LocalVolumeDeps) {
    this.#root = join(deps.dataRoot, "volumes");
    this.#lookup = deps.lookup;
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    chmodSync(this.#root, 0o700);
  }

  /**
   * Ends what a crash cut short: removals that had got as far as the directory or the record, and creations that never came to a
   * record. Only an empty directory is taken for such a one: data that no record names is left for the administrator to find.
   */
  async recover(store: Pick<VolumeStore, "list" | "references" | "remove">): Promise<void> {
    const known = new Set(store.list().flatMap((one) => (one.driver === this.name ? [one.name] : [])));
    for (const entry of readdirSync(this.#root)) {
      const path = join(this.#root, entry);
      if (entry.startsWith(removing)) await rm(path);
      else if (!known.has(entry) && isHalfMade(path)) await rm(path);
    }
    for (const { name, driver, options } of store.list()) {
      if (driver !== this.name) continue;
      if (store.references(name).length > 0) {
        // A power cut may take a directory whose name was not on disk yet, and nothing in it was: containers find it empty, not missing.
        const mounted = parseLocalOptions(options) !== undefined;
        const whole =
          existsSync(this.path(name)) && (!mounted || existsSync(join(this.#root, name, optionsFile)));
        if (!whole) await this.create(name, options);
      } else if (!existsSync(join(this.#root, name))) await store.remove(name, { force: true });
    }
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    checkVolumeName(name);
    const mounted = parseLocalOptions(options) !== undefined;
    const directory = join(this.#root, name);
    try {
      // A directory left by a crash between here and the record is this volume's: creating twice is harmless.
      mkdirSync(join(directory, "_data"), { recursive: true });
      chmodSync(directory, 0o700);
      chmodSync(join(directory, "_data"), 0o755);
      if (mounted) writeJson(join(directory, optionsFile), { options } satisfies OptionsFile);
    } catch (error) {
      throw storageError(error, "error while creating volume", directory);
    }
  }

  async remove(name: string): Promise<void> {
    checkVolumeName(name);
    const path = this.path(name);
    if (this.#options(name)) unmountIfMounted(path);
    // Out of the way first, so that a crash leaves either the whole volume or a directory that no name reaches.
    const doomed = join(this.#root, `${removing}${name}`);
    try {
      await rm(doomed);
      renameSync(join(this.#root, name), doomed);
      await rm(doomed);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") {
        throw internal(`error removing volume directory: ${messageOf(error)}`, error);
      }
    }
  }

  path(name: string): string {
    return join(this.#root, name, "_data");
  }

  async mount(name: string, holder: string): Promise<string> {
    checkVolumeName(name);
    const options = this.#options(name);
    const path = this.path(name);
    if (!options) return path;
    const holders = this.#holders(name);
    if (!isMountpoint(path)) await this.#mount(options, path);
    this.#setHolders(name, [...holders.filter((other) => other !== holder), holder]);
    return path;
  }

  async unmount(name: string, holder: string): Promise<void> {
    checkVolumeName(name);
    if (!this.#options(name)) return;
    const rest = this.#holders(name).filter((other) => other !== holder);
    this.#setHolders(name, rest);
    if (rest.length === 0) unmountIfMounted(this.path(name));
  }

  async #mount(options: LocalOptions, path: string): Promise<void> {
    let words = options.options;
    if (options.type.startsWith("nfs")) words = await this.#resolveAddress(words);
    try {
      mountSpec({ type: options.type, source: options.device, options: words }, path);
    } catch (error) {
      throw mountFailure(error, { ...options, options: words }, path);
    }
  }

  async #resolveAddress(words: readonly string[]): Promise<readonly string[]> {
    const at = words.findIndex((word) => word.startsWith("addr="));
    if (at < 0) return words;
    try {
      return words.with(at, `addr=${await this.#lookup((words[at] ?? "").slice(5))}`);
    } catch (error) {
      throw new TugError(
        "unavailable",
        `error resolving passed in network volume address: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  #options(name: string): LocalOptions | undefined {
    const file = readJson<OptionsFile>(join(this.#root, name, optionsFile));
    return file ? parseLocalOptions(file.options) : undefined;
  }

  #holders(name: string): readonly string[] {
    const file = readJson<HoldersFile>(join(this.#root, name, holdersFile));
    return file && file.boot === bootId() ? file.holders : [];
  }

  #setHolders(name: string, holders: readonly string[]): void {
    const file = join(this.#root, name, holdersFile);
    writeJson(file, { boot: bootId(), holders } satisfies HoldersFile);
  }
}

/** A volume's directory that nobody has put anything into. */
function isHalfMade(path: string): boolean {
  if (!statSync(path).isDirectory()) return false;
  const names = readdirSync(path).filter((name) => !ownFiles.has(name));
  return names.length === 0 || (names.join() === "_data" && readdirSync(join(path, "_data")).length === 0);
}

/** No volume's name begins with a dot. */
const removing = ".removing-";
const [optionsFile, holdersFile] = ["opts.json", "holders.json"];
const ownFiles: ReadonlySet<string> = new Set([optionsFile, holdersFile]);

/** rm(1) walks with *at calls, stays on one file system, and keeps a large removal out of the daemon's loop. */
async function rm(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const child = Bun.spawn(["rm", "-rf", "--one-file-system", "--", path], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [text, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw internal(text.trim() || `rm exited with ${code}`);
}

function isMountpoint(path: string): boolean {
  return readMountInfo().some((mount) => mount.mountpoint === path);
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw internal(`${path}: ${messageOf(error)}`, error);
  }
}

/** Whole or not at all. */
function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o600, flush: true });
  renameSync(`${path}.tmp`, path);
}

/** The text of Docker's mount library: what was mounted where, with which flags and data. */
function mountFailure(error: unknown, options: LocalOptions, path: string): TugError {
  if (!(error instanceof SystemError)) return internal(messageOf(error), error);
  const { flags, data } = splitOptions(options.options);
  const reason = error.message.slice(error.message.lastIndexOf(": ") + 2);
  const parts = [
    `failed to mount local volume: mount ${options.device}:${path}`,
    ...(flags === 0 ? [] : [`flags: 0x${flags.toString(16)}`]),
    ...(data.length === 0 ? [] : [`data: ${data.join(",")}`]),
  ];
  const text = `${parts.join(", ")}: ${reason}`;
  return error.code === "ENODEV" || error.code === "EINVAL" ? invalid(text, error) : internal(text, error);
}
