import type { CacheObjects } from "../../solve/objects.ts";
import type { GitRunner } from "./git.ts";
import type { HttpStore } from "./http-store.ts";
import type { KeptTrees } from "./kept-trees.ts";

const alone = { parents: [], shared: false } as const;

/** Contexts that clients sent, as `builder du` and `builder prune` have them. */
export function contextObjects(trees: KeptTrees): CacheObjects {
  return {
    list: async () => {
      const sizes = await trees.sizes();
      return trees.list().map(({ id, description, created, lastUsed, inUse }) => ({
        ...{ ...alone, id, description, inUse, created },
        type: "source.local",
        size: sizes.get(id) ?? 0,
        used: lastUsed,
        uses: 1,
      }));
    },
    remove: async (id) => {
      if (!trees.list().some((tree) => tree.id === id && !tree.inUse)) return false;
      await trees.remove(id);
      return true;
    },
  };
}

/** Files of the network. Docker knows no type of their own for them. */
export function downloadObjects(store: HttpStore): CacheObjects {
  return {
    list: async () =>
      store.list().map(({ id, description, bytes, lastUsed, inUse }) => ({
        ...{ ...alone, id, description, inUse },
        type: "regular",
        size: bytes,
        created: lastUsed,
        used: lastUsed,
        uses: 1,
      })),
    remove: (id) => store.remove(id),
  };
}

/** Repositories of the network. */
export function repositoryObjects(git: GitRunner): CacheObjects {
  return {
    list: async () =>
      (await git.list()).map(({ id, description, bytes, lastUsed, inUse }) => ({
        ...{ ...alone, id, description, inUse },
        type: "source.git.checkout",
        size: bytes,
        created: lastUsed,
        used: lastUsed,
        uses: 1,
      })),
    remove: (id) => git.remove(id),
  };
}
