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
/** The kernel's NGROUPS_MAX. */
const groupsLimit = 65_536;
/** setuid takes a signed int in many places; larger ones wrap to root (CVE-2024-40635). */
const largestId = 2 ** 31 - 1;

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/**
 * `--user` in all its forms (name, uid, name:group, uid:gid, …) and --group-add, looked up in the container's own
 * /etc/passwd and /etc/group, which are read inside its root only.
 */
export function lookupUser(root: RootedDir, user: string, groupAdd: readonly string[]): ProcessUser {
  // What follows a second colon is nothing to Docker either.
  const [userPart = "", groupPart] = user.split(":");
  const wanted = userPart === "" ? "0" : userPart;
  const account = findAccount(readOptional(root, "/etc/passwd", !isNumber(wanted)), wanted);
  if (!account && !isNumber(wanted)) {
    throw refused(`unable to find user ${wanted}: no matching entries in passwd file`);
  }
  const uid = account?.uid ?? checkId(wanted);
  let gid = account?.gid ?? 0;
  const asked = groupPart === "" ? undefined : groupPart;
  const member = asked === undefined ? account?.name : undefined;
  const names = new Set([...groupAdd, ...(asked === undefined ? [] : [asked])]);
  const needed = [...names].some((name) => !isNumber(name));
  const found =
    names.size > 0 || member !== undefined
      ? findGroups(readOptional(root, "/etc/group", needed), names, member)
      : { named: new Map<string, number>(), memberOf: [] };
  const additional = new Set<number>(found.memberOf);
  if (asked !== undefined) gid = groupId(found.named, asked);
  for (const name of groupAdd) additional.add(groupId(found.named, name, true));
  // The files are the image's: what they say is no more in range than what was asked for.
  for (const id of [uid, gid, ...additional]) checkId(String(id));
  additional.delete(gid);
  return { uid, gid, additionalGids: [gid, ...additional], home: account?.home || "/" };
}

function groupId(named: ReadonlyMap<string, number>, text: string, added = false): number {
  const found = named.get(text);
  if (found !== undefined) return found;
  if (isNumber(text)) return checkId(text);
  throw refused(`${added ? "Unable" : "unable"} to find group ${text}: no matching entries in group file`);
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

/** The first entry of that name, else of that number. Line by line: millions of them shall cost no more memory than the file. */
function findAccount(passwd: string, wanted: string): Account | undefined {
  const number = isNumber(wanted) ? Number(wanted) : undefined;
  let byNumber: Account | undefined;
  for (const line of linesOf(passwd)) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":", 7);
    if (name === "" || name.startsWith("#") || !/^\d+$/.test(uid)) continue;
    if (name !== wanted && (byNumber || Number(uid) !== number)) continue;
    const account = { name, uid: Number(uid), gid: Number(gid) || 0, home };
    if (name === wanted) return account;
    byNumber = account;
  }
  return byNumber;
}

/** The ids of the first groups of these names, and of those that `member` is listed in. */
function findGroups(
  group: string,
  names: ReadonlySet<string>,
  member: string | undefined,
): { readonly named: ReadonlyMap<string, number>; readonly memberOf: readonly number[] } {
  const named = new Map<string, number>();
  const memberOf = new Set<number>();
  for (const line of linesOf(group)) {
    const [name = "", , gid = "", members = ""] = line.split(":", 4);
    if (name === "" || name.startsWith("#") || !/^\d+$/.test(gid)) continue;
    if (names.has(name) && !named.has(name)) named.set(name, Number(gid));
    if (member !== undefined && `,${members},`.includes(`,${member},`)) memberOf.add(Number(gid));
    if (memberOf.size > groupsLimit) throw refused(`user ${member} is in more than ${groupsLimit} groups`);
  }
  return { named, memberOf: [...memberOf] };
}

function* linesOf(text: string): Generator<string, void, undefined> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, end).trim();
    if (line !== "") yield line;
    start = end + 1;
  }
}

/**
 * "" when the file is not there; a directory or a fifo counts as none, too, and so does an over-long file unless a name is `needed`
 * from it: what a container makes of its files shall not keep anybody from entering it.
 */
function readOptional(root: RootedDir, path: string, needed: boolean): string {
  try {
    return root.readFile(path, fileLimit).toString("utf8");
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EFBIG" && needed)
      throw refused(`${path} of the container is larger than ${fileLimit} bytes`);
    return "";
  }
}
