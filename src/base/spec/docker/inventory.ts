import { invalid } from "../../lib/errors.ts";
import type { ImageInventory } from "./extensions.ts";

/** File of an archive that tells which layers it leaves out, and is its first: a version, and their descriptors. */
export const leftOutFile = "tug-left-out.json";

/** Checks an inventory that came from somewhere else; throws invalid-argument. */
export function parseInventory(value: unknown): ImageInventory {
  const fields = typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  if (typeof fields["Version"] !== "number")
    throw invalid("this is no inventory: it has no Version (tug image inventory makes one)");
  if (fields["Version"] !== 1)
    throw invalid(`the inventory has version ${fields["Version"]}, and only version 1 is known here`);
  return { Version: 1, Blobs: digests(fields, "Blobs"), Chains: digests(fields, "Chains") };
}

function digests(value: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const list = value[name] ?? [];
  if (!Array.isArray(list)) throw invalid(`the inventory's ${name} is no list`);
  return list.map((each: unknown) => {
    if (typeof each !== "string" || !/^[a-z0-9]+:[a-f0-9]{32,128}$/.test(each))
      throw invalid(
        `the inventory's ${name} holds ${JSON.stringify(each)?.slice(0, 100)}, which is no digest`,
      );
    return each;
  });
}
