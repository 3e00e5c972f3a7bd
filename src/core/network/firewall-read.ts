import type { TakenPort } from "./ports.ts";

/** What is read of libnftables' JSON; the rest is left alone. Pure. */
export interface NftItem {
  readonly chain?: { readonly table: string; readonly hook?: string; readonly policy?: string };
  readonly map?: { readonly name: string; readonly elem?: readonly unknown[] };
}

/** The objects of an answer; none when there was no JSON. */
export function items(answer: unknown): readonly NftItem[] {
  if (typeof answer !== "object" || answer === null || !("nftables" in answer)) return [];
  return Array.isArray(answer.nftables) ? (answer.nftables as NftItem[]) : [];
}

/** The published ports in a table of `firewall.ts`. An interval counts with all its ports. */
export function publishedPorts(table: readonly NftItem[]): readonly TakenPort[] {
  return table.flatMap(({ map }) => {
    const kind = /^(any|publish|range)([46])$/.exec(map?.name ?? "");
    if (!map?.elem || !kind) return [];
    const anyAddress = kind[2] === "4" ? "0.0.0.0" : "::";
    return map.elem.flatMap((element) => {
      const key = Array.isArray(element) ? concatenation(element[0]) : undefined;
      if (!key) return [];
      const [protocol, ...rest] = key;
      if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return [];
      const hostIp = rest.length === 2 && typeof rest[0] === "string" ? rest[0] : anyAddress;
      const ports = range(rest.at(-1));
      return ports.map((hostPort) => ({ protocol, hostIp, hostPort }));
    });
  });
}

function concatenation(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if ("concat" in value && Array.isArray(value.concat)) return value.concat;
  if ("elem" in value && typeof value.elem === "object" && value.elem !== null && "val" in value.elem) {
    return concatenation(value.elem.val);
  }
  return undefined;
}

function range(value: unknown): readonly number[] {
  if (typeof value === "number") return [value];
  if (typeof value !== "object" || value === null || !("range" in value) || !Array.isArray(value.range))
    return [];
  const [first, last] = value.range.map(Number);
  if (first === undefined || last === undefined || !(last >= first) || last > 65535) return [];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
