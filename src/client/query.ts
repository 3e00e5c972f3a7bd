/** Query parameters; undefined and false are left out, true is "1", lists repeat the key. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export function encodeQuery(query: Query | undefined): string {
  if (!query) return "";
  const parts: string[] = [];
  const add = (key: string, value: string) =>
    parts.push(`${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue;
    if (value === true) add(key, "1");
    else if (typeof value === "object") for (const item of value) add(key, item);
    else add(key, String(value));
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

/** Docker's `filters` parameter: JSON of key -> set of values. Undefined when there is none. */
export type Filters = Readonly<Record<string, readonly string[]>>;

export function encodeFilters(filters: Filters | undefined): string | undefined {
  if (!filters || Object.keys(filters).length === 0) return undefined;
  const sets: Record<string, Record<string, true>> = {};
  for (const [key, values] of Object.entries(filters)) {
    sets[key] = Object.fromEntries(values.map((value) => [value, true as const]));
  }
  return JSON.stringify(sets);
}
