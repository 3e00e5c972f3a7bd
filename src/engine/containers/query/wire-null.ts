/**
 * Go writes an empty slice or map that was never made as `null`, and clients compare with it; the generated types only
 * know "left out". One constant with the type of the latter and the value of the former.
 */
export const wireNull = null as unknown as undefined;

/** `null` for an empty list, as Go writes a nil slice. */
export function listOrNull<T>(list: readonly T[] | null | undefined): T[] | undefined {
  return list && list.length > 0 ? [...list] : wireNull;
}
