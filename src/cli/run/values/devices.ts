import { invalid } from "../../../base/lib/errors.ts";
import type { DeviceMapping, DeviceRequest } from "../../../base/spec/docker/api.gen.ts";
import { parseCsv } from "../../flags/flag.ts";
import { nodePath } from "../../io/builtin.ts";
import { pairsToMap } from "./environment.ts";

const mode = /^[rwm]{1,3}$/;
const validMode = (text: string) => mode.test(text) && new Set(text).size === text.length;

/** A fully qualified CDI name: `vendor.com/class=device`. */
const cdiName = /^[A-Za-z][A-Za-z0-9_.-]*\/[A-Za-z][A-Za-z0-9_-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*$/;

/** Reads --device values: host paths to map, and names of CDI devices. */
export function parseDevices(values: readonly string[]): { mappings: DeviceMapping[]; cdi: string[] } {
  const mappings: DeviceMapping[] = [];
  const cdi: string[] = [];
  for (const value of values) {
    if (cdiName.test(value)) cdi.push(value);
    else mappings.push(parseDevice(value));
  }
  return { mappings, cdi };
}

function parseDevice(value: string): DeviceMapping {
  const parts = value.split(":");
  if (value.trim() === "" || parts[0] === "" || parts.length > 3)
    throw invalid(`bad format for path: ${value}`);
  const [host = "", second, third] = parts;
  const secondIsMode = parts.length === 2 && second !== undefined && validMode(second);
  const container = second === undefined || secondIsMode ? host : second;
  const permissions = secondIsMode ? second : (third ?? "rwm");
  if (third !== undefined && !validMode(third)) throw invalid(`bad mode specified: ${third}`);
  if (!container.startsWith("/")) throw invalid(`${container} is not an absolute path`);
  return {
    PathOnHost: nodePath().posix.normalize(host),
    PathInContainer: container,
    CgroupPermissions: permissions,
  };
}

/** `--device-cgroup-rule "c 1:3 rwm"`. */
export function deviceRuleFlag(value: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(value))
    throw invalid(`invalid device cgroup format '${value}'`);
  return value;
}

/** `--gpus all`, `--gpus 2`, `--gpus '"device=0,1",driver=nvidia'`. */
export function parseGpus(value: string): DeviceRequest {
  const seen = new Set<string>();
  const request: DeviceRequest = { Driver: "", Options: {}, Capabilities: [["gpu"]] };
  for (const field of parseCsv(value)) {
    const at = field.indexOf("=");
    const key = at < 0 ? field : field.slice(0, at);
    const text = field.slice(at + 1);
    if (seen.has(key)) throw invalid(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (at < 0) {
      seen.add("count");
      request.Count = parseCount(key);
    } else if (key === "driver") request.Driver = text;
    else if (key === "count") request.Count = parseCount(text);
    else if (key === "device") request.DeviceIDs = text.split(",");
    else if (key === "capabilities") request.Capabilities = [[...text.split(","), "gpu"]];
    else if (key === "options") request.Options = pairsToMap(parseCsv(text));
    else throw invalid(`unexpected key '${key}' in '${field}'`);
  }
  if (!seen.has("count") && request.DeviceIDs === undefined) request.Count = 1;
  return request;
}

function parseCount(text: string): number {
  if (text === "all") return -1;
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw invalid(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
}
