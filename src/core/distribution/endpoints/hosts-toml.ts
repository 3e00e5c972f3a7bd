import { readFileSync, statSync } from "node:fs";
import { posix, resolve } from "node:path";
import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { parseDuration } from "../../../base/lib/timestamp.ts";
import type { TlsSettings } from "./certificates.ts";
import { readToml, TomlTable } from "./toml.ts";

/** What may be asked of a host: which digest a tag means, documents and blobs by digest, taking a push. */
export interface Capabilities {
  readonly resolve: boolean;
  readonly pull: boolean;
  readonly push: boolean;
}

/** One host of a hosts.toml. */
export interface TomlHost {
  /** "https://mirror.example:5000"; undefined for the registry itself, where the file names no `server`. */
  readonly origin: string | undefined;
  /** Path of the API root there: "/v2", "/prefix/v2", or whatever the file says with `override_path`. */
  readonly apiPath: string;
  /** The file's `server`, tried last. */
  readonly server: boolean;
  readonly can: Capabilities;
  readonly authorities: readonly string[];
  readonly client: TlsSettings["client"];
  readonly skipVerify: boolean | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly dialTimeout: number | undefined;
}

export interface HostsFile {
  readonly path: string;
  readonly hosts: readonly TomlHost[];
}

/** Directories of a registry below one root, best first (containerd, docs/hosts.md; no ":" in names for other systems). */
export function hostDirectories(root: string, authority: string): readonly string[] {
  const name = authority.replace(/:([0-9]+)$/, "_$1_");
  return [...new Set([name, authority])].map((each) => resolve(root, each));
}

/**
 * The hosts.toml for a registry as containerd reads it: the first directory of `roots` that has one for the registry, else the first
 * `_default`. Undefined where there is none. Throws invalid-argument for a file that is wrong.
 */
export function readHostsFile(roots: readonly string[], authority: string): HostsFile | undefined {
  // The name becomes a path: what is no name of a host has no file.
  if (authority.includes("/") || authority.startsWith(".")) return undefined;
  const own = roots.flatMap((root) => hostDirectories(root, authority));
  for (const directory of [...own, ...roots.map((root) => resolve(root, "_default"))]) {
    const path = resolve(directory, "hosts.toml");
    if (!statSync(path, { throwIfNoEntry: false })) continue;
    const file = readToml(path);
    if (!file) continue;
    const table = new TomlTable(file, path);
    const hosts = table.children("host").map(([name, each]) => parseHost(name, each, directory, path, false));
    return { path, hosts: [...hosts, parseHost(table.text("server"), table, directory, path, true)] };
  }
  return undefined;
}

function parseHost(
  name: string,
  table: TomlTable,
  directory: string,
  path: string,
  server: boolean,
): TomlHost {
  const { origin, apiPath } = parseAddress(name, table.truth("override_path") ?? false, path);
  if (origin === undefined && !server) throw invalid(`${path}: a host without a name`);
  const timeout = table.text("dial_timeout");
  const nanoseconds = timeout === "" ? undefined : parseDuration(timeout);
  if (timeout !== "" && nanoseconds === undefined) throw table.wrong("dial_timeout", 'a duration like "5s"');
  return {
    origin,
    apiPath,
    server,
    can: capabilities(table, path),
    authorities: table.texts("ca").map((each) => readNamed(resolve(directory, each), path)),
    client: clientOf(table, directory, path),
    skipVerify: table.truth("skip_verify"),
    headers: headersOf(table, path),
    dialTimeout: nanoseconds === undefined ? undefined : Number(nanoseconds / 1_000_000n),
  };
}

function parseAddress(
  name: string,
  override: boolean,
  path: string,
): { readonly origin: string | undefined; readonly apiPath: string } {
  if (name === "") return { origin: undefined, apiPath: "/v2" };
  const text = name.startsWith("http") ? name : `https://${name}`;
  if (!URL.canParse(text)) throw invalid(`${path}: unable to parse server ${name}`);
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(`${path}: ${name}: only http and https are possible`);
  }
  if (url.username || url.password || url.search || url.hash) {
    throw invalid(`${path}: ${name}: a host is a scheme, a name, a port and a path, and nothing else`);
  }
  const clean = posix.normalize(url.pathname).replace(/\/+$/, "");
  return { origin: url.origin, apiPath: override || clean.endsWith("/v2") ? clean : `${clean}/v2` };
}

function capabilities(table: TomlTable, path: string): Capabilities {
  const named = table.texts("capabilities").map((each) => each.toLowerCase());
  for (const each of named) {
    if (!["pull", "resolve", "push"].includes(each)) throw invalid(`${path}: unknown capability ${each}`);
  }
  const can = (what: string) => named.length === 0 || named.includes(what);
  return { resolve: can("resolve"), pull: can("pull"), push: can("push") };
}

/** One file with both, or pairs of certificate and key; the first pair is the one that is shown. */
function clientOf(table: TomlTable, directory: string, path: string): TlsSettings["client"] {
  const value = table.raw("client");
  if (value === undefined) return undefined;
  const first: unknown = Array.isArray(value) ? value[0] : value;
  const pair: readonly unknown[] = Array.isArray(first) ? first : [first, first];
  const [certificate, key] = pair;
  if (typeof certificate !== "string" || typeof key !== "string" || pair.length !== 2) {
    throw table.wrong("client", "a file, a list of files or a list of [certificate, key]");
  }
  return {
    certificate: readNamed(resolve(directory, certificate), path),
    key: readNamed(resolve(directory, key || certificate), path),
  };
}

function headersOf(table: TomlTable, path: string): Readonly<Record<string, string>> {
  const headers = table.child("header");
  const found: Record<string, string> = {};
  for (const name of headers.keys()) {
    const value = headers.texts(name).join(", ");
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || /[\r\n\0]/.test(value)) {
      throw invalid(`${path}: invalid header ${JSON.stringify(name)}`);
    }
    found[name] = value;
  }
  return found;
}

function readNamed(file: string, path: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalid(`${path} names ${file}, which cannot be read: ${messageOf(error)}`, error);
  }
}
