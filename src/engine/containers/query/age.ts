import { parseRfc3339 } from "../../../base/lib/timestamp.ts";
import type { ContainerRecord } from "../record.ts";

/**
 * When a container was made, in nanoseconds. Never to be compared as text: Go's format cuts zeros, so that "…01Z" would come
 * behind "…01.5Z".
 */
export const createdAt = (record: { readonly definition: Pick<ContainerRecord["definition"], "created"> }) =>
  parseRfc3339(record.definition.created) ?? 0n;

/** For `sort`: newest first. */
export const newestFirst = (a: ContainerRecord, b: ContainerRecord): number => {
  const [left, right] = [createdAt(a), createdAt(b)];
  return left < right ? 1 : left > right ? -1 : 0;
};
