import { AT_FDCWD, closeFd, O, openat } from "../../base/sys/at.ts";
import { namesIn, tryLstatat } from "../../base/sys/stat.ts";
import { compareBytes, type WalkEntry, walkTree } from "../../base/sys/walk.ts";

type Entry = Omit<WalkEntry, "skip">;

/**
 * A layer's own files in the order of `walkTree`, which walks `upper` (a descriptor) alone: of what `base` (a path) has that which upper neither has nor
 * hides as well. Whiteouts are among them. Trees that complete others are not deeper than descriptors suffice for.
 */
export function* walkLayer(upper: number, base: string | undefined): Generator<Entry, void, undefined> {
  if (base === undefined) return yield* walkTree(upper);
  const root = openat(AT_FDCWD, base, O.RDONLY | O.DIRECTORY);
  try {
    yield* both(upper, root, "");
  } finally {
    closeFd(root);
  }
}

function* both(upper: number, base: number, path: string): Generator<Entry, void, undefined> {
  const names = new Set([...namesIn(upper), ...namesIn(base)]);
  for (const name of [...names].sort(compareBytes)) {
    const own = tryLstatat(upper, name);
    const below = tryLstatat(base, name);
    const stat = own ?? below;
    if (!stat) continue;
    const at = path === "" ? name : `${path}/${name}`;
    yield { dir: own ? upper : base, name, path: at, stat };
    if (stat.kind !== "directory") continue;
    if (own && below?.kind === "directory") {
      yield* within(upper, name, (above) => within(base, name, (under) => both(above, under, at)));
    } else {
      yield* within(own ? upper : base, name, (dir) => alone(dir, at));
    }
  }
}

function* alone(dir: number, path: string): Generator<Entry, void, undefined> {
  for (const entry of walkTree(dir)) yield { ...entry, path: `${path}/${entry.path}` };
}

function* within(
  dir: number,
  name: string,
  walk: (fd: number) => Generator<Entry, void, undefined>,
): Generator<Entry, void, undefined> {
  const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    yield* walk(fd);
  } finally {
    closeFd(fd);
  }
}
