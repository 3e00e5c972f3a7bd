/**
 * JSON of a spec. 2^64 stands for RLIM_INFINITY (2^64-1), which no double can hold and which the runtimes expect digit for
 * digit. The pattern cannot occur inside a JSON string, whose quotes are escaped.
 */
export function stringifySpec(spec: unknown): string {
  return JSON.stringify(spec).replace(
    /("(?:hard|soft)":)18446744073709552000\b/g,
    (_match, key: string) => `${key}18446744073709551615`,
  );
}
