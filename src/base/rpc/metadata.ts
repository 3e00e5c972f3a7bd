/** Custom fields of a call, names in lower case; a field may repeat. Values of "-bin" fields stay base64. */
export type Metadata = Readonly<Record<string, readonly string[]>>;

/** Fields that belong to HTTP/2 and gRPC themselves. */
const own = new Set([
  "content-type",
  "te",
  "user-agent",
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
]);

/**
 * From names and values in turns, as `node:http2` gives headers raw: the joined form cannot be taken apart again, because a
 * pattern may have a comma.
 */
export function metadataOf(raw: readonly string[]): Metadata {
  const fields: Record<string, string[]> = Object.create(null);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? "").toLowerCase();
    if (name.startsWith(":") || own.has(name)) continue;
    const values = fields[name];
    if (values) values.push(raw[i + 1] ?? "");
    else fields[name] = [raw[i + 1] ?? ""];
  }
  return fields;
}

export const first = (metadata: Metadata, name: string): string | undefined => metadata[name]?.[0];

const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a grpc-timeout field ("5S", "100m"); undefined: none, or not one. */
export function timeoutOf(field: string | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(field ?? "");
  return match ? Number(match[1]) * (units[match[2] ?? ""] ?? 0) : undefined;
}
