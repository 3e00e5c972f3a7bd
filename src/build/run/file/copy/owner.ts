import { invalid } from "../../../../base/lib/errors.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { lookupUser } from "../../../../core/runtime/user.ts";
import type { Owner } from "../../../graph.ts";

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/**
 * `--chown` as numbers: names are looked up in the root's own /etc/passwd and /etc/group, but root, which is 0 in every root (BuildKit, client/llb); a
 * number without a group is the group's too, a name brings its primary group (Dockerfile reference, "COPY --chown --chmod").
 */
export function lookupOwner(root: RootedDir, owner: Owner | undefined): Ids | undefined {
  if (!owner) return undefined;
  if (owner.group?.includes(":"))
    throw invalid(`invalid chown string format: ${owner.user}:${owner.group}: it is user:group`);
  const user = owner.user === "" ? "0" : numberOfRoot(owner.user);
  const { uid, gid: primary } = lookupName(root, "user", user, isNumber(user) ? `${user}:${user}` : user);
  if (owner.group === undefined || owner.group === "") return { uid, gid: primary };
  const group = numberOfRoot(owner.group);
  return { uid, gid: lookupName(root, "group", group, `0:${group}`).gid };
}

function lookupName(root: RootedDir, kind: "user" | "group", name: string, text: string): Ids {
  const file = kind === "user" ? "/etc/passwd" : "/etc/group";
  if (!isNumber(name) && !root.tryStat(file)) {
    throw invalid(
      `unable to find ${kind} ${name}: there is no ${file} (onto FROM scratch, and with --link, owners are numbers)`,
    );
  }
  return lookupUser(root, text, []);
}

function numberOfRoot(name: string): string {
  return name === "root" ? "0" : name;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
