import type { DiffId } from "../../lib/ids.ts";
import { parseDigest } from "../docker/reference.ts";
import {
  asObject,
  type Fields,
  malformed,
  optionalArray,
  optionalBoolean,
  optionalKeySet,
  optionalNumber,
  optionalObject,
  optionalString,
  optionalStringMap,
  optionalStrings,
  parseObject,
  present,
} from "./fields.ts";
import type { HistoryEntry, ImageConfig, ImageRunConfig } from "./image.ts";

/** Cap for an image config: far above any real one, far below what would hurt. */
export const configLimit = 8 * 1024 * 1024;

/** overlayfs stacks no more (fs/overlayfs, OVL_MAX_STACK); Docker stops at 125. */
const maxLayers = 500;

/** Parses an image config (OCI image-spec config.md, with Docker's additions). Throws data-loss. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const where = "image config";
  const from = parseObject(bytes, where, configLimit);
  const rootfs = optionalObject(from, "rootfs", where);
  if (!rootfs) throw malformed("invalid image JSON, no RootFS key");
  const type = optionalString(rootfs, "type", "rootfs") ?? "layers";
  if (type !== "layers") throw malformed(`invalid image config: unknown rootfs type ${JSON.stringify(type)}`);
  const diffIds = (optionalStrings(rootfs, "diff_ids", "rootfs") ?? []).map(parseDiffId);
  if (diffIds.length > maxLayers) throw malformed("invalid image config: max depth exceeded");
  const config = optionalObject(from, "config", where);
  const history = optionalArray(from, "history", where)?.map(readHistory);
  return {
    // Docker takes an empty os for the host's, and there is only one here.
    os: optionalString(from, "os", where) || "linux",
    architecture: optionalString(from, "architecture", where) ?? "",
    rootfs: { type: "layers", diff_ids: diffIds },
    ...present({
      created: optionalString(from, "created", where),
      author: optionalString(from, "author", where),
      variant: optionalString(from, "variant", where),
      "os.version": optionalString(from, "os.version", where),
      docker_version: optionalString(from, "docker_version", where),
      comment: optionalString(from, "comment", where),
      config: config && readRunConfig(config),
      history,
    }),
  };
}

function parseDiffId(text: string): DiffId {
  try {
    return parseDigest(text) as string as DiffId;
  } catch (error) {
    throw malformed(`invalid image config: invalid diff_id ${JSON.stringify(text.slice(0, 200))}`, error);
  }
}

function readHistory(value: unknown, index: number): HistoryEntry {
  const where = `image config.history[${index}]`;
  const from = asObject(value, where);
  return present({
    created: optionalString(from, "created", where),
    created_by: optionalString(from, "created_by", where),
    author: optionalString(from, "author", where),
    comment: optionalString(from, "comment", where),
    empty_layer: optionalBoolean(from, "empty_layer", where),
  });
}

function readRunConfig(from: Fields): ImageRunConfig {
  const where = "image config.config";
  const health = optionalObject(from, "Healthcheck", where);
  return present({
    User: optionalString(from, "User", where),
    ExposedPorts: optionalKeySet(from, "ExposedPorts", where),
    Env: optionalStrings(from, "Env", where),
    Entrypoint: stringOrStrings(from, "Entrypoint", where),
    Cmd: stringOrStrings(from, "Cmd", where),
    Volumes: optionalKeySet(from, "Volumes", where),
    WorkingDir: optionalString(from, "WorkingDir", where),
    Labels: optionalStringMap(from, "Labels", where),
    StopSignal: optionalString(from, "StopSignal", where),
    ArgsEscaped: optionalBoolean(from, "ArgsEscaped", where),
    OnBuild: optionalStrings(from, "OnBuild", where),
    Shell: stringOrStrings(from, "Shell", where),
    Healthcheck: health && readHealth(health, `${where}.Healthcheck`),
  });
}

function readHealth(from: Fields, where: string): NonNullable<ImageRunConfig["Healthcheck"]> {
  return present({
    Test: optionalStrings(from, "Test", where),
    Interval: optionalNumber(from, "Interval", where),
    Timeout: optionalNumber(from, "Timeout", where),
    StartPeriod: optionalNumber(from, "StartPeriod", where),
    StartInterval: optionalNumber(from, "StartInterval", where),
    Retries: optionalNumber(from, "Retries", where),
  });
}

/** Docker's strslice: a lone string is a list of one. */
function stringOrStrings(from: Fields, key: string, where: string): readonly string[] | undefined {
  const value = from[key];
  return typeof value === "string" ? [value] : optionalStrings(from, key, where);
}
