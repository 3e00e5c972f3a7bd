import { isCode, TugError } from "../../base/lib/errors.ts";
import type { Credentials } from "./auth/credentials.ts";
import type { FoundRepository } from "./distribution.ts";
import { readBody } from "./http/body.ts";
import type { Connections } from "./http/connections.ts";
import { RegistryError } from "./http/registry-error.ts";
import type { Session } from "./http/session.ts";

const replyLimit = 4 * 1024 * 1024;
/** Pages of a catalog that are looked through where a registry has no search of its own. */
const catalogPages = 100;
const pageSize = 1000;

/**
 * Docker's search, GET /v1/search?q=…&n=… (the registry v1 API, all that Docker Hub kept of it), and for registries that
 * never had it their catalog (distribution-spec has no search).
 */
export async function searchRegistry(
  connections: Connections,
  domain: string,
  term: string,
  limit: number,
  credentials: Credentials,
  signal: AbortSignal | undefined,
): Promise<readonly FoundRepository[]> {
  // Docker Hub searches under another name than its images have.
  const endpoints = await connections.homes(domain === "docker.io" ? "index.docker.io" : domain);
  let last: unknown = new TugError("unavailable", `no endpoint for ${domain}`);
  for (const endpoint of endpoints) {
    const session = connections.open(endpoint, credentials, ["registry:catalog:*"]);
    try {
      return (await ask(session, term, limit, signal)) ?? (await lookThrough(session, term, limit, signal));
    } catch (error) {
      if (error instanceof RegistryError || !isCode(error, "unavailable")) throw error;
      last = error;
    }
  }
  throw last;
}

/** Undefined when the registry knows no such request. */
async function ask(
  session: Session,
  term: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<readonly FoundRepository[] | undefined> {
  const query = new URLSearchParams({ q: term, n: String(limit) });
  using exchange = await session.send({
    method: "GET",
    path: `/v1/search?${query}`,
    expect: [200, 404, 405],
    signal,
  });
  if (exchange.response.status !== 200) return undefined;
  const results = member(parse(await readBody(exchange, replyLimit)), "results");
  if (!Array.isArray(results)) throw new TugError("data-loss", "invalid search reply");
  return results.slice(0, limit).flatMap((each: unknown) => {
    const name = member(each, "name");
    if (typeof name !== "string" || name === "") return [];
    const description = member(each, "description");
    const stars = member(each, "star_count");
    return [
      {
        name,
        description: typeof description === "string" ? description : "",
        stars: typeof stars === "number" && Number.isFinite(stars) ? Math.trunc(stars) : 0,
        official: member(each, "is_official") === true,
      },
    ];
  });
}

async function lookThrough(
  session: Session,
  term: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<readonly FoundRepository[]> {
  const found: FoundRepository[] = [];
  let path = `/v2/_catalog?n=${pageSize}`;
  for (let page = 0; page < catalogPages && found.length < limit; page++) {
    using exchange = await session.send({ method: "GET", path, expect: [200], signal });
    const names = member(parse(await readBody(exchange, replyLimit)), "repositories");
    if (!Array.isArray(names)) throw new TugError("data-loss", "invalid catalog");
    for (const name of names) {
      if (typeof name !== "string" || !name.includes(term)) continue;
      found.push({ name, description: "", stars: 0, official: false });
    }
    const last: unknown = names.at(-1);
    if (exchange.response.headers.get("link") === null || typeof last !== "string") break;
    path = `/v2/_catalog?${new URLSearchParams({ n: String(pageSize), last })}`;
  }
  return found.slice(0, limit);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new TugError("data-loss", "invalid search reply", { cause });
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
