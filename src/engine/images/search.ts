import { invalid } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import type { ImageServiceDeps } from "./deps.ts";

export interface SearchOptions {
  readonly limit: number | undefined;
  readonly filters: WireFilters;
  readonly auth?: AuthConfig | undefined;
}

/** A line of GET /images/search. */
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

/** What a search finds at Docker Hub, or at the registry that the term begins with ("localhost:5000/word"). */
export async function searchImages(
  deps: Pick<ImageServiceDeps, "registry">,
  term: string,
  options: SearchOptions,
  signal?: AbortSignal,
): Promise<readonly SearchResult[]> {
  const filters = Filters.parse(options.filters, ["is-automated", "is-official", "stars"]);
  const automated = filters.has("is-automated") ? filters.bool("is-automated", false) : undefined;
  const official = filters.has("is-official") ? filters.bool("is-official", false) : undefined;
  const stars = leastStars(filters);
  const limit = options.limit === undefined || options.limit === 0 ? 25 : options.limit;
  if (limit < 1 || limit > 100) throw invalid(`limit ${limit} is outside the range of [1, 100]`);
  const { domain, word } = splitTerm(term);
  // Automated builds are gone from Docker Hub: nothing is one.
  if (automated) return [];
  const found = await deps.registry.search(domain, word, limit, { auth: options.auth, signal });
  return found
    .filter((one) => (official === undefined || one.official === official) && one.stars >= stars)
    .map(({ name, description, stars: star_count, official: is_official }) => {
      return { name, description, star_count, is_official, is_automated: false };
    });
}

function leastStars(filters: Filters): number {
  const values = filters.get("stars");
  for (const value of values) {
    if (!/^[+-]?\d{1,9}$/.test(value)) throw invalid(`invalid filter 'stars=[${values.join(" ")}]'`);
  }
  return values.reduce((most, value) => Math.max(most, Number(value)), 0);
}

/** The grammar of image names decides what is a registry; Docker Hub's own images lose their "library/". */
export function splitTerm(term: string): { readonly domain: string; readonly word: string } {
  if (/^https?:\/\//.test(term)) {
    throw invalid(`invalid repository name: repository name (${term}) should not have a scheme`);
  }
  const slash = term.indexOf("/");
  const first = slash < 0 ? "" : term.slice(0, slash);
  const own = /[.:]/.test(first) || first === "localhost";
  if (!own || first === "docker.io" || first === "index.docker.io") {
    const rest = own ? term.slice(slash + 1) : term;
    return { domain: "docker.io", word: rest.replace(/^library\//, "") };
  }
  return { domain: first, word: term.slice(slash + 1) };
}
