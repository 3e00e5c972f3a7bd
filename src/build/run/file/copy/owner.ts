import { invalid } from "../../../../base/lib/errors.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { lookupUser } from "../../../../core/runtime/user.ts";
import type { Owner } from "../../../graph.ts";

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/**
 * `--chown` as numbers: names are looked up in the root's own /etc/passwd and /etc/group; a number without a group is the group's
 * too, a name brings its primary group (Dockerfile reference, "COPY --chown --chmod").
 */
export function lookupOwner(root: RootedDir, owner: Owner | undefined): Ids | undefined {
  if (!owner) return undefined;
  if (owner.group?.includes(":"))
    throw invalid(`invalid chown string format: ${owner.user}:${owner.group}: it is user:group`);
  const user = owner.user === "" ? "0" : owner.user;
  const numeric = /^\d+$/.test(user);
  const { uid, gid: primary } = lookupUser(root, numeric ? `${user}:${user}` : user, []);
  if (owner.group === undefined || owner.group === "") return { uid, gid: primary };
  return { uid, gid: lookupUser(root, `0:${owner.group}`, []).gid };
}
