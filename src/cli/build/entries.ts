import { parseBoolean } from "../../base/lib/boolean.ts";
import { parseCsv } from "../../base/lib/csv.ts";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import { parseIp } from "../../base/lib/ip.ts";
import { familiarString, parseReference } from "../../base/spec/docker/reference.ts";
import { splitPair } from "../flags/flag.ts";
import { parsePlatform } from "../format/platform.ts";
import { csvPairs, pairsCsv } from "./pairs.ts";

/** One cache to read or to write, as SolveRequest has it. */
export interface CacheEntry {
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
}

/** --cache-from and --cache-to: references, several with commas, or "type=…,key=value". */
export function readCaches(values: readonly string[]): readonly CacheEntry[] {
  return values.flatMap((text) => {
    if (!text.includes("=")) return parseCsv(text).map((ref) => ({ type: "registry", attrs: { ref } }));
    const { type = "", ...attrs } = csvPairs(text);
    if (type === "") throw invalid(`type required for ${JSON.stringify(text)}`);
    return [{ type, attrs }];
  });
}

/** --annotation "[manifest[linux/amd64],index:]key=value" as the exporter's attributes ("annotation-manifest[linux/amd64].key"). */
export function readAnnotations(values: readonly string[]): Record<string, string> {
  const attrs: Record<string, string> = {};
  for (const text of values) {
    if (text === "") continue;
    const [name, value] = splitPair(text);
    if (value === undefined) throw invalid(`invalid annotation ${JSON.stringify(text)}, expected key=value`);
    const colon = name.indexOf(":");
    if (colon < 0) attrs[`annotation.${name}`] = value;
    else {
      const key = name.slice(colon + 1);
      for (const type of name.slice(0, colon).split(","))
        attrs[`annotation-${annotationType(type)}.${key}`] = value;
    }
  }
  return attrs;
}

function annotationType(text: string): string {
  const match = /^([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?$/.exec(text);
  if (!match) {
    throw invalid(
      `invalid annotation type ${JSON.stringify(text)}, expected type and optional platform in square brackets`,
    );
  }
  const type = match[1] ?? "";
  if (!["index", "index-descriptor", "manifest", "manifest-descriptor"].includes(type))
    throw invalid(`unknown annotation type ${JSON.stringify(type)}`);
  if (match[2] !== undefined) parsePlatform(match[2]);
  return text;
}

/** --attest, --provenance and --sbom as the frontend's attributes; the first of a type wins, as for buildx. */
export function readAttestations(
  values: readonly string[],
  provenance: string,
  sbom: string,
): Record<string, string> {
  const all = [...values];
  if (provenance !== "") all.push(shorthand("provenance", provenance));
  if (sbom !== "") all.push(shorthand("sbom", sbom));
  const asked = new Map<string, string | undefined>();
  for (const text of all) {
    const { type = "", disabled, ...attrs } = csvPairs(text);
    if (type === "") throw invalid("attestation type not specified");
    const off = disabled !== undefined && boolean(disabled, `disabled=${disabled}`);
    if (!asked.has(type)) asked.set(type, off ? undefined : pairsCsv({ type, ...attrs }));
  }
  const out: Record<string, string> = {};
  for (const [type, text] of asked) if (text !== undefined) out[`attest:${type}`] = text;
  return out;
}

function shorthand(type: string, text: string): string {
  try {
    return `type=${type},disabled=${!parseBoolean(text)}`;
  } catch {
    return `type=${type},${text}`; // not a switch: attributes
  }
}

function boolean(text: string, field: string): boolean {
  try {
    return parseBoolean(text);
  } catch (cause) {
    throw invalid(`invalid value ${field}: ${messageOf(cause)}`, cause);
  }
}

/** --build-context name=value; names are those of images, without "docker.io/library" and ":latest". */
export function readNamedContexts(values: readonly string[]): Record<string, string> {
  const contexts: Record<string, string> = {};
  for (const text of values) {
    if (text === "") continue;
    const [name, value] = splitPair(text);
    if (value === undefined) throw invalid(`invalid context value: ${text}, expected key=value`);
    contexts[contextName(name)] = value;
  }
  return contexts;
}

function contextName(name: string): string {
  try {
    return familiarString(parseReference(name)).replace(/:latest$/, "");
  } catch (cause) {
    throw invalid(`invalid context name ${name}: ${messageOf(cause)}`, cause);
  }
}

/** --add-host "host:ip" or "host=ip", several addresses with commas, as the frontend's "add-hosts". */
export function readHosts(values: readonly string[]): string {
  const out: string[] = [];
  for (const text of values) {
    const match = /^([^=:]+)[=:](.+)$/.exec(text);
    const [host, addresses] = [match?.[1], match?.[2]];
    if (host === undefined || addresses === undefined) throw invalid(`invalid host ${text}`);
    for (const address of addresses.split(",")) {
      const bare = address.replace(/^\[(.+)\]$/, "$1");
      out.push(`${host}=${checkedAddress(bare, text)}`);
    }
  }
  return out.join(",");
}

function checkedAddress(address: string, text: string): string {
  // The daemon knows its own address.
  if (address === "host-gateway" || parseIp(address)) return address;
  throw invalid(`invalid host ${text}`);
}

/** --allow; what a builder cannot give it refuses itself. */
export function readEntitlements(values: readonly string[], network: string): readonly string[] {
  const known = ["network.host", "security.insecure"];
  for (const value of values) {
    if (!known.includes(value)) throw invalid(`invalid entitlement: ${value}: ${known.join(" or ")}`);
  }
  return [...new Set([...values, ...(network === "host" ? ["network.host"] : [])])];
}
