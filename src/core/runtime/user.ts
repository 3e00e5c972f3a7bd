import { TugError } from "../../base/lib/errors.ts";
import { SystemError } from "../../base/sys/libc.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** For HOME. */
  readonly home: string;
}

/** A container may hold a huge or endless file there (CVE-2025-47290's class): no more than this is read. */
const fileLimit = 4 * 1024 * 1024;
/** setuid takes a signed int in many places; larger ones wrap to root (CVE-2024-40635). */
const largestId = 2 ** 31 - 1;

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * `--user` in all its forms (name, uid, name:group, uid:gid, …) and --group-add, looked up in the container's own
 * /etc/passwd and /etc/group, which are read inside its root only.
 */
export function lookupUser(root: RootedDir, user: string, groupAdd: readonly string[]): ProcessUser {
  const [userPart = "", groupPart, ...rest] = user.split(":");
  if (rest.length > 0) throw refused(`invalid user specification: ${user}`);
  const accounts = parsePasswd(readOptional(root, "/etc/passwd"));
  const needsGroups = groupPart !== undefined || groupAdd.length > 0 || accounts.length > 0;
  const groups = needsGroups ? parseGroup(readOptional(root, "/etc/group")) : [];
  const wanted = userPart === "" ? "0" : userPart;
  const account =
    accounts.find((entry) => entry.name === wanted) ??
    (isNumber(wanted) ? accounts.find((entry) => entry.uid === Number(wanted)) : undefined);
  if (!account && !isNumber(wanted)) {
    throw refused(`unable to find user ${wanted}: no matching entries in passwd file`);
  }
  const uid = account?.uid ?? checkId(wanted);
  let gid = account?.gid ?? 0;
  const additional = new Set<number>();
  if (groupPart !== undefined && groupPart !== "") gid = findGroup(groups, groupPart);
  else if (account) {
    for (const group of groups) if (group.members.includes(account.name)) additional.add(group.gid);
  }
  for (const name of groupAdd) additional.add(findGroup(groups, name, true));
  // The files are the image's: what they say is no more in range than what was asked for.
  for (const id of [uid, gid, ...additional]) checkId(String(id));
  additional.delete(gid);
  return { uid, gid, additionalGids: [gid, ...additional], home: account?.home || "/" };
}

function findGroup(groups: readonly Group[], text: string, added = false): number {
  const named = groups.find((group) => group.name === text);
  if (named) return named.gid;
  if (isNumber(text)) return checkId(text);
  throw refused(
    added
      ? `Unable to find group ${text}`
      : `unable to find group ${text}: no matching entries in group file`,
  );
}

function isNumber(text: string): boolean {
  return /^-?\d+$/.test(text);
}

function checkId(text: string): number {
  const id = Number(text);
  if (id < 0 || id > largestId) throw refused("uids and gids must be in range 0-2147483647");
  return id;
}

function refused(message: string): TugError {
  return new TugError("invalid-argument", message);
}

function parsePasswd(text: string): readonly Account[] {
  const accounts: Account[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.trim().split(":");
    if (name === "" || name.startsWith("#") || !/^\d+$/.test(uid)) continue;
    accounts.push({ name, uid: Number(uid), gid: Number(gid) || 0, home });
  }
  return accounts;
}

function parseGroup(text: string): readonly Group[] {
  const groups: Group[] = [];
  for (const line of text.split("\n")) {
    const [name = "", , gid = "", members = ""] = line.trim().split(":");
    if (name === "" || name.startsWith("#") || !/^\d+$/.test(gid)) continue;
    groups.push({ name, gid: Number(gid), members: members.split(",").filter(Boolean) });
  }
  return groups;
}

/** "" when the file is not there; a directory, a fifo or an over-long file counts as none, too. */
function readOptional(root: RootedDir, path: string): string {
  try {
    return root.readFile(path, fileLimit).toString("utf8");
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EFBIG") throw refused(`${path} of the container is larger than ${fileLimit} bytes`);
    return "";
  }
}
