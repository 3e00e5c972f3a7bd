import { invalid } from "../../../base/lib/errors.ts";
import { redactUrl } from "../../../base/lib/redact-url.ts";
import { isCommit } from "../../../base/spec/dockerfile/git-ref.ts";
import type { BuildSession } from "../../session.ts";
import { secretLine } from "./secret-line.ts";

/** Throws invalid-argument for what git could take for an option, for another transport than https, http, ssh and git, or for no ref at all. */
export function checkRemote(remote: string, ref: string): void {
  const bad = (what: string) => invalid(`invalid git ${what}`);
  if (hasControls(remote) || hasControls(ref)) throw bad("URL: it has control characters");
  const scp = /^[A-Za-z0-9._][A-Za-z0-9._-]*@[A-Za-z0-9[][^/:]*:(?!-)./.test(remote);
  const url = /^(?:https?|ssh|git):\/\/(?!-)[^/]/.test(remote);
  // ssh takes a host that begins with "-" for an option (CVE-2017-1000117).
  if ((!scp && !url) || /@-/.test(remote))
    throw bad(`URL ${JSON.stringify(redactUrl(remote))}: it is no https, http, ssh or git remote`);
  if (ref.startsWith("-") || ref.includes("..") || /[ ~^:?*[\\]/.test(ref) || ref.endsWith(".lock"))
    throw bad(`ref ${JSON.stringify(ref)}`);
}

/**
 * The remote as a work tree's configuration may have it, and as relative submodules are resolved against: without passwords, and without users where
 * those may be tokens. With ssh the user is a part of the address.
 */
export function withoutSecrets(remote: string): string {
  return remote.replace(/^([a-z]+:\/\/)([^/\s]*)@/, (_, scheme: string, user: string) =>
    scheme === "ssh://" ? `${scheme}${user.replace(/:.*/s, "")}@` : scheme,
  );
}

function hasControls(text: string): boolean {
  return [...text].some((char) => char < " " || char === "\x7f");
}

export interface FoundRef {
  readonly sha: string;
  /** As the remote names it. */
  readonly name: string;
  /** Of an annotated tag: the tag's own object. */
  readonly tag: string | undefined;
}

/** What a ref means among the lines of `git ls-remote`: itself, else a branch, else a tag's commit. */
export function findRef(listing: string, ref: string): FoundRef | undefined {
  const lines = new Map<string, string>();
  for (const line of listing.split("\n")) {
    const [sha = "", name = ""] = line.split("\t");
    if (isCommit(sha)) lines.set(name, sha);
  }
  const wanted = ref === "" ? "HEAD" : ref;
  for (const name of [wanted, `refs/heads/${wanted}`, `refs/tags/${wanted}`, `refs/${wanted}`]) {
    // An annotated tag is listed with the commit that it stands for.
    const [own, peeled] = [lines.get(name), lines.get(`${name}^{}`)];
    const sha = peeled ?? own;
    if (sha !== undefined) return { sha, name, tag: peeled === undefined ? undefined : own };
  }
  return undefined;
}

/** The session's secret for a remote: GIT_AUTH_HEADER or GIT_AUTH_TOKEN, that of the host first (BuildKit, source/git). */
export async function authorizationFor(
  remote: string,
  session: BuildSession,
): Promise<{ readonly scope: string; readonly value: string } | undefined> {
  if (!/^https?:/.test(remote)) return undefined;
  const url = new URL(remote);
  const scope = `${url.protocol}//${url.host}/`;
  for (const name of [
    `GIT_AUTH_HEADER.${url.host}`,
    `GIT_AUTH_TOKEN.${url.host}`,
    "GIT_AUTH_HEADER",
    "GIT_AUTH_TOKEN",
  ]) {
    const text = await secretLine(session, name);
    if (text === undefined) continue;
    if (name.startsWith("GIT_AUTH_HEADER")) return { scope, value: text };
    return { scope, value: `basic ${Buffer.from(`x-access-token:${text}`).toString("base64")}` };
  }
  return undefined;
}
