import { TugError } from "../../base/lib/errors.ts";
import { readBody } from "./http/body.ts";
import type { Session } from "./http/session.ts";

const pageLimit = 4 * 1024 * 1024;
const maxPages = 10_000;
/** More than any repository has, and held in megabytes. */
const maxTags = 500_000;

/** All tags of a repository, following the registry's pages (distribution-spec, "Listing Tags"). */
export async function listTags(
  session: Session,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const tags = new Set<string>();
  let path: string | undefined = `/v2/${repository}/tags/list`;
  for (let page = 0; path !== undefined; page++) {
    if (page >= maxPages) throw new TugError("data-loss", `the tag list of ${repository} does not end`);
    using exchange = await session.send({ method: "GET", path, expect: [200], signal });
    for (const tag of parsePage(await readBody(exchange, pageLimit))) tags.add(tag);
    if (tags.size > maxTags) throw new TugError("data-loss", `${repository} has more than ${maxTags} tags`);
    path = nextPage(exchange.response.headers.get("link"), exchange.url);
  }
  return [...tags];
}

function parsePage(bytes: Uint8Array): readonly string[] {
  let page: unknown;
  try {
    page = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new TugError("data-loss", "invalid tag list", { cause: error });
  }
  const tags = typeof page === "object" && page !== null && "tags" in page ? page.tags : undefined;
  if (tags === null) return [];
  // What is no tag by the grammar cannot be asked for, nor become part of a URL.
  const isTag = (each: unknown): each is string => typeof each === "string" && /^\w[\w.-]{0,127}$/.test(each);
  if (!Array.isArray(tags)) throw new TugError("data-loss", "invalid tag list");
  return tags.filter(isTag);
}

/** The target of `Link: <…>; rel="next"` (RFC 8288), if it stays with this registry. */
export function nextPage(header: string | null, from: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(header ?? "")?.[1];
  if (target === undefined || !URL.canParse(target, from)) return undefined;
  const next = new URL(target, from);
  return next.origin === new URL(from).origin ? next.href : undefined;
}
