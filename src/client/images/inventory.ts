import { isCode, TugError } from "../../base/lib/errors.ts";
import type { DiffId } from "../../base/lib/ids.ts";
import type { ImageInventory } from "../../base/spec/docker/extensions.ts";
import { parseInventory } from "../../base/spec/docker/inventory.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { type Client, imagePath } from "../client.ts";

export interface FoundInventory {
  readonly inventory: ImageInventory;
  /** Set when the daemon cannot do with a part of an archive, and why. */
  readonly whole: string | undefined;
}

/**
 * What a daemon has: GET /images/inventory, or for dockerd, which has no such thing, what its images' RootFS tells. dockerd's own store
 * skips layers that it has unpacked; its containerd store, and other engines, want every blob.
 */
export async function imageInventory(client: Client): Promise<FoundInventory> {
  try {
    const value: unknown = await client.json({ method: "GET", path: "/images/inventory" });
    return { inventory: parseInventory(value), whole: undefined };
  } catch (error) {
    if (!isCode(error, "not-found")) throw error;
  }
  const empty: ImageInventory = { Version: 1, Blobs: [], Chains: [] };
  const engine = await engineName(client);
  if (engine !== undefined)
    return { inventory: empty, whole: `${engine} does not tell which layers it can do without` };
  return { inventory: { ...empty, Chains: await dockerChains(client) }, whole: undefined };
}

/** Undefined for dockerd with its own store. */
async function engineName(client: Client): Promise<string | undefined> {
  const version = await client.json<{ readonly Components?: readonly { readonly Name?: string }[] | null }>({
    method: "GET",
    path: "/version",
  });
  const name = version.Components?.[0]?.Name ?? "the daemon";
  if (name !== "Engine") return name;
  const info = await client.json<{ readonly DriverStatus?: readonly (readonly string[])[] | null }>({
    method: "GET",
    path: "/info",
  });
  const containerd = (info.DriverStatus ?? []).some(
    ([key, value]) => key === "driver-type" && value?.startsWith("io.containerd."),
  );
  return containerd ? "Docker with the containerd image store" : undefined;
}

async function dockerChains(client: Client): Promise<readonly string[]> {
  const images = await client.json<readonly { readonly Id: string }[]>({
    method: "GET",
    path: "/images/json",
    query: { all: "1" },
  });
  const chains = new Set<string>();
  for (const { Id } of images) {
    try {
      const image = await client.json<{ readonly RootFS?: { readonly Layers?: readonly DiffId[] | null } }>({
        method: "GET",
        path: `/images/${imagePath(Id)}/json`,
      });
      for (const chain of chainIds(image.RootFS?.Layers ?? [])) chains.add(chain);
    } catch (error) {
      // Removed meanwhile.
      if (!(error instanceof TugError) || error.code !== "not-found") throw error;
    }
  }
  return [...chains].sort();
}
