import { invalid } from "../../../base/lib/errors.ts";

/**
 * HostConfig.StorageOpt asks for a size of the writable layer, which needs project quotas under the snapshotter. None here
 * sets them, and a limit that does not hold must not be accepted.
 */
export function checkStorageOptions(options: Readonly<Record<string, string>>, snapshotter: string): void {
  const names = Object.keys(options);
  if (names.length === 0) return;
  if (snapshotter !== "overlay2") throw invalid("--storage-opt is not supported");
  const unknown = names.find((name) => name.toLowerCase() !== "size");
  if (unknown !== undefined) throw invalid(`Unknown option ${unknown}`);
  throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
}
