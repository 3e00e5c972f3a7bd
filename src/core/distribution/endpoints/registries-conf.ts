import { readdirSync } from "node:fs";
import { join } from "node:path";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import { readToml, TomlTable } from "./toml.ts";

/** Which pulls a mirror is for. */
export type MirrorUse = "all" | "digest-only" | "tag-only";

/** Somewhere a name's images can be had, as registries.conf says it. */
export interface ConfPlace {
  /** The registry there: "mirror.example:5000". */
  readonly domain: string;
  /** The repository there. */
  readonly path: string;
  readonly insecure: boolean;
  readonly use: MirrorUse;
  readonly mirror: boolean;
}

/** What registries.conf says of one image. */
export interface ConfMatch {
  /** The file that says so. */
  readonly file: string;
  readonly prefix: string;
  readonly blocked: boolean;
  /** Mirrors in their order, then the primary location. */
  readonly places: readonly ConfPlace[];
}

interface Entry {
  readonly file: string;
  readonly prefix: string;
  /** Empty with a wildcard prefix: names stay as they are. */
  readonly location: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly {
    readonly location: string;
    readonly insecure: boolean;
    readonly use: MirrorUse;
  }[];
}

/**
 * What registries.conf(5) and its drop-ins (`<file>.d/*.conf`, in order; a later `[[registry]]` with the same prefix takes the place of an
 * earlier one) say of an image. Short names are not its business here: they are Docker Hub's, as for Docker. Undefined when no prefix fits.
 */
export function matchRegistriesConf(
  path: string,
  ref: Pick<Reference, "domain" | "path"> & Partial<Reference>,
): ConfMatch | undefined {
  if (path === "") return undefined;
  const entries = new Map<string, Entry>();
  for (const file of [path, ...dropIns(`${path}.d`)]) {
    for (const entry of readEntries(file)) entries.set(entry.prefix, entry);
  }
  let best: Entry | undefined;
  for (const entry of entries.values()) {
    if (matches(entry.prefix, ref) && entry.prefix.length > (best?.prefix.length ?? -1)) best = entry;
  }
  if (!best) return undefined;
  const { file, prefix, blocked, mirrors, location, insecure } = best;
  const places = mirrors.map((each) => ({
    ...placeOf(each.location, prefix, ref, file),
    insecure: each.insecure,
    use: each.use,
    mirror: true,
  }));
  const primary = {
    ...placeOf(location, prefix, ref, file),
    insecure,
    use: "all" as const,
    mirror: false,
  };
  return { file, prefix, blocked, places: [...places, primary] };
}

function dropIns(directory: string): readonly string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".conf"));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

function readEntries(file: string): readonly Entry[] {
  const table = readToml(file);
  if (!table) return [];
  const conf = new TomlTable(table, file);
  // Version 1, `[registries.insecure] registries = […]`: lists of registries, no mirrors.
  if (table["registries"] !== undefined) {
    const lists = conf.child("registries");
    const insecure = lists.child("insecure").texts("registries");
    const blocked = lists.child("block").texts("registries");
    return [...new Set([...insecure, ...blocked])].map((prefix) => ({
      file,
      prefix,
      location: prefix,
      insecure: insecure.includes(prefix),
      blocked: blocked.includes(prefix),
      mirrors: [],
    }));
  }
  return conf.tables("registry").map((each) => parseEntry(each, file));
}

function parseEntry(table: TomlTable, file: string): Entry {
  const location = table.text("location").replace(/\/+$/, "");
  const prefix = table.text("prefix").replace(/\/+$/, "") || location;
  if (prefix === "") throw invalid(`${file}: invalid location: both prefix and location are unset`);
  if (/^https?:\/\//.test(location))
    throw invalid(`${file}: invalid location "${location}": URI schemes are not supported`);
  const wildcard = prefix.startsWith("*.");
  if (prefix.includes("*") && (!wildcard || /[*/:]/.test(prefix.slice(1)))) {
    throw invalid(
      `${file}: invalid prefix "${prefix}": a wildcard stands for subdomains ("*.example.com") and nothing else`,
    );
  }
  const byDigest = table.truth("mirror-by-digest-only") ?? false;
  const mirrors = table.tables("mirror").map((each): Entry["mirrors"][number] => {
    const place = each.text("location").replace(/\/+$/, "");
    if (place === "" || /^https?:\/\//.test(place)) {
      throw invalid(
        `${file}: invalid location "${place}" of a mirror of "${prefix}": host[:port][/path] is wanted`,
      );
    }
    const use = each.text("pull-from-mirror");
    if (use !== "" && use !== "all" && use !== "digest-only" && use !== "tag-only") {
      throw each.wrong("pull-from-mirror", '"all", "digest-only" or "tag-only"');
    }
    if (use !== "" && byDigest) {
      throw invalid(
        `${file}: cannot set mirror usage mirror-by-digest-only for the registry "${prefix}" and pull-from-mirror for its mirrors`,
      );
    }
    return {
      location: place,
      insecure: each.truth("insecure") ?? false,
      use: byDigest ? "digest-only" : use === "" ? "all" : use,
    };
  });
  return {
    file,
    prefix,
    location: location || (wildcard ? "" : prefix),
    insecure: table.truth("insecure") ?? false,
    blocked: table.truth("blocked") ?? false,
    mirrors,
  };
}

/** A prefix fits a name that goes on with nothing, a path, a tag or a digest; a wildcard, any subdomain. */
function matches(prefix: string, ref: Pick<Reference, "domain" | "path"> & Partial<Reference>): boolean {
  if (prefix.startsWith("*.")) return ref.domain.replace(/:[0-9]+$/, "").endsWith(prefix.slice(1));
  const name = `${ref.domain}/${ref.path}`;
  if (name === prefix || name.startsWith(`${prefix}/`)) return true;
  return (
    (ref.tag !== undefined && prefix === `${name}:${ref.tag}`) ||
    (ref.digest !== undefined && prefix === `${name}@${ref.digest}`)
  );
}

function placeOf(
  location: string,
  prefix: string,
  ref: Pick<Reference, "domain" | "path">,
  file: string,
): { readonly domain: string; readonly path: string } {
  if (location === "") return { domain: ref.domain, path: ref.path };
  const name = `${ref.domain}/${ref.path}`;
  // A wildcard stands for the registry's name, and a prefix with a tag for the whole.
  const head = prefix.startsWith("*.") ? ref.domain : name.startsWith(prefix) ? prefix : name;
  const base =
    head === name ? location.replace(/[:@][^/]*$/, (end) => (location.includes("/") ? "" : end)) : location;
  const whole = `${base}${name.slice(head.length)}`;
  const slash = whole.indexOf("/");
  if (slash < 0) throw invalid(`${file}: the location "${location}" gives no repository for ${name}`);
  return { domain: whole.slice(0, slash), path: whole.slice(slash + 1) };
}

export function blockedError(match: ConfMatch, ref: Pick<Reference, "domain" | "path">): TugError {
  return new TugError(
    "forbidden",
    `${ref.domain}/${ref.path}: registry ${match.prefix} is blocked in ${match.file}`,
  );
}
