import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { CryptoHasher } from "bun";
import { detectCompression, magicLength } from "../../../base/lib/compression/compression.ts";
import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { isZeroBlock, parseHeader } from "../../../base/lib/tar/header.ts";
import { readWholeFileAside } from "../../../base/lib/whole-file.ts";
import { uploadPrefix } from "../../../base/spec/builder/session.ts";
import { parseGitRef } from "../../../base/spec/dockerfile/git-ref.ts";
import type { LentDirectory } from "../../../client/build/lend.ts";
import { newBuildId } from "../../../client/build/session.ts";
import type { Input } from "../../io/input.ts";
import { layoutPrefix, readLayout } from "./layout.ts";

/** Where the build's files come from: what is lent over the session, and what the frontend is told of it. */
export interface BuildContext {
  readonly attrs: Readonly<Record<string, string>>;
  readonly directories: Readonly<Record<string, LentDirectory>>;
  readonly uploads: ReadonlyMap<string, AsyncIterable<Uint8Array>>;
  /** Directories of OCI layouts, by the names that the attributes have for them. */
  readonly layouts: ReadonlyMap<string, string>;
  /** The directory's name; "" for contexts that are none. */
  readonly name: string;
  readonly sharedKey: string | undefined;
}

/** Without what --build-context names. */
type MainContext = Omit<BuildContext, "layouts">;

interface ContextOptions {
  /** PATH, URL or "-". */
  readonly path: string;
  /** --file. */
  readonly file: string;
  /** --build-context by name. */
  readonly named: Readonly<Record<string, string>>;
  readonly input: Input;
}

/** Largest Dockerfile that is fetched or read from standard input. */
const maxDockerfile = 4 << 20;

/** Finds the context and the Dockerfile. Folders that it makes go when `undo` is disposed of. */
export async function prepareContext(options: ContextOptions, undo: DisposableStack): Promise<BuildContext> {
  const { path, file } = options;
  const main = path === "-" ? await fromInput(options, undo) : await fromPath(options, undo);
  const named = namedContexts(options.named);
  const fetched = isHttp(file) ? await fetchedDockerfile(file, undo) : undefined;
  return {
    ...main,
    layouts: named.layouts,
    attrs: {
      ...main.attrs,
      ...named.attrs,
      ...(fetched ? { dockerfilekey: "dockerfile", filename: "Dockerfile" } : {}),
    },
    directories: {
      ...main.directories,
      ...named.directories,
      ...(fetched ? { dockerfile: { path: fetched } } : {}),
    },
  };
}

const isHttp = (text: string) => /^https?:\/\//.test(text);
const isRemote = (text: string) => isHttp(text) || parseGitRef(text) !== undefined;
const isDirectory = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

async function fromPath({ path, file, input }: ContextOptions, undo: DisposableStack): Promise<MainContext> {
  if (path === "") throw invalid('please specify build context (e.g. "." for the current directory)');
  const typed =
    file === "-" ? storedDockerfile(await readAll(input), undo) : await pipedDockerfile(file, undo);
  const apart = typed === undefined ? {} : { dockerfilekey: "dockerfile" };
  const none = { uploads: new Map<string, AsyncIterable<Uint8Array>>() };
  if (isDirectory(path)) {
    const full = resolve(path);
    const folder = typed ?? (file === "" || isHttp(file) ? full : dirname(resolve(file)));
    const name = typed !== undefined || isHttp(file) ? "Dockerfile" : dockerfileName(folder, file);
    if (!isDirectory(folder)) throw invalid(`resolve : lstat ${folder}: no such file or directory`);
    return {
      ...none,
      attrs: { filename: name, ...apart },
      directories: { context: { path: full }, dockerfile: { path: folder } },
      name: basename(full),
      sharedKey: sharedKeyOf(full),
    };
  }
  if (!isRemote(path)) throw invalid(`unable to prepare context: path ${JSON.stringify(path)} not found`);
  const remote = { ...none, name: "", sharedKey: undefined };
  if (typed !== undefined || isAbsolute(file)) {
    const folder = typed ?? dirname(file);
    return {
      ...remote,
      attrs: {
        context: path,
        dockerfilekey: "dockerfile",
        filename: typed ? "Dockerfile" : dockerfileName(folder, file),
      },
      directories: { dockerfile: { path: folder } },
    };
  }
  const name = file === "" ? "Dockerfile" : file;
  return {
    ...remote,
    attrs: { context: path, ...(isHttp(file) ? {} : { filename: name }) },
    directories: {},
  };
}

/** A tar on standard input is the context; anything else is a Dockerfile without one. */
async function fromInput({ file, input }: ContextOptions, undo: DisposableStack): Promise<MainContext> {
  if (file === "-") throw invalid("invalid argument: can't use stdin for both build context and dockerfile");
  if (isArchive(await peek(input, 512))) {
    const key = newBuildId();
    const own = isAbsolute(file) ? { dockerfile: { path: dirname(file) } } : undefined;
    return {
      attrs: {
        context: uploadPrefix + key,
        filename: file === "" ? "Dockerfile" : own ? basename(file) : file,
        ...(own ? { dockerfilekey: "dockerfile" } : {}),
      },
      directories: own ?? {},
      uploads: new Map([[key, input.chunks()]]),
      name: "",
      sharedKey: undefined,
    };
  }
  if (file !== "")
    throw invalid("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const empty = temporary(undo);
  return {
    attrs: { filename: "Dockerfile", dockerfilekey: "dockerfile" },
    directories: {
      context: { path: empty },
      dockerfile: { path: storedDockerfile(await readAll(input), undo) },
    },
    uploads: new Map(),
    name: "",
    sharedKey: undefined,
  };
}

function namedContexts(
  named: Readonly<Record<string, string>>,
): Pick<BuildContext, "attrs" | "directories" | "layouts"> {
  const attrs: Record<string, string> = {};
  const directories: Record<string, LentDirectory> = {};
  const layouts = new Map<string, string>();
  for (const [name, value] of Object.entries(named)) {
    if (isRemote(value) || value.startsWith("docker-image://") || value.startsWith("target:")) {
      attrs[`context:${name}`] = value;
      continue;
    }
    if (value.startsWith(layoutPrefix)) {
      const { path, tag, digest } = readLayout(value.slice(layoutPrefix.length));
      const store = newBuildId();
      layouts.set(store, path);
      attrs[`context:${name}`] = `${layoutPrefix}${store}:${tag}@${digest}`;
      continue;
    }
    const stat = statSync(value, { throwIfNoEntry: false });
    if (!stat) throw invalid(`failed to get build context ${name}: stat ${value}: no such file or directory`);
    if (!stat.isDirectory()) throw invalid(`failed to get build context path ${value}: not a directory`);
    const local = name === "context" || name === "dockerfile" ? `_${name}` : name;
    directories[local] = { path: resolve(value) };
    attrs[`context:${name}`] = `local:${local}`;
    attrs[`sharedkey:localdir:${name}`] = sharedKeyOf(resolve(value));
  }
  return { attrs, directories, layouts };
}

/** "Dockerfile", or "dockerfile" where only that one is there. */
function dockerfileName(folder: string, file: string): string {
  const name = file === "" ? "Dockerfile" : basename(file);
  const lower =
    name === "Dockerfile" && !existsSync(join(folder, name)) && existsSync(join(folder, "dockerfile"));
  return lower ? "dockerfile" : name;
}

/** The same for the same directory of the same machine, and for nothing else; it does not tell the path. */
function sharedKeyOf(path: string): string {
  return new CryptoHasher("sha256").update(`${machine()}\0${process.getuid?.() ?? 0}\0${path}`).digest("hex");
}

function machine(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname();
  } catch {
    return hostname(); // systems without systemd have none
  }
}

function temporary(undo: DisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "tug-build-"));
  undo.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function storedDockerfile(bytes: Uint8Array, undo: DisposableStack): string {
  const folder = temporary(undo);
  writeFileSync(join(folder, "Dockerfile"), bytes);
  return folder;
}

async function fetchedDockerfile(url: string, undo: DisposableStack): Promise<string> {
  try {
    const reply = await fetch(url);
    if (!reply.ok) throw invalid(`${reply.status} ${reply.statusText}`);
    return storedDockerfile(await limited(reply.body ?? []), undo);
  } catch (cause) {
    throw invalid(`failed to fetch remote Dockerfile ${url}: ${messageOf(cause)}`, cause);
  }
}

/** A Dockerfile from a pipe (`-f <(…)`), or a device: it is read here and now, as the builder is sent plain files alone. */
async function pipedDockerfile(file: string, undo: DisposableStack): Promise<string | undefined> {
  const stat = file === "" || isHttp(file) ? undefined : statSync(file, { throwIfNoEntry: false });
  if (!stat || stat.isFile() || stat.isDirectory()) return undefined;
  try {
    return storedDockerfile(await readWholeFileAside(file, maxDockerfile), undo);
  } catch (cause) {
    throw invalid(`failed to read dockerfile: open ${file}: ${systemText(cause)}`, cause);
  }
}

async function readAll(input: Input): Promise<Uint8Array> {
  try {
    return await limited(input.chunks());
  } catch (cause) {
    throw invalid(`failed to read the Dockerfile from STDIN: ${systemText(cause)}`, cause);
  }
}

async function limited(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > maxDockerfile) throw invalid(`the Dockerfile is larger than ${maxDockerfile} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/** The first bytes of standard input, which stay to be read. */
async function peek(input: Input, count: number): Promise<Buffer> {
  let start = Buffer.alloc(0);
  for await (const chunk of input.chunks()) {
    start = Buffer.concat([start, chunk]);
    if (start.length >= count) break;
  }
  input.putBack(start);
  return start;
}

function isArchive(start: Buffer): boolean {
  if (start.length >= magicLength && detectCompression(start) !== "none") return true;
  if (start.length < 512) return false;
  const block = start.subarray(0, 512);
  if (isZeroBlock(block)) return true;
  try {
    parseHeader(block);
    return true;
  } catch {
    return false; // no header of a tar: text
  }
}
