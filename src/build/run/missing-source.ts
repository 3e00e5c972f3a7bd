import type { Vertex } from "../graph.ts";

/** What a step is told whose COPY or mount names what is not there: BuildKit finds it while it makes the cache key, and says so. */
export function missingSource({ digest }: Pick<Vertex, "digest">, path: string): string {
  const ref = digest.replace(/^sha256:/, "");
  const about = `${ref.slice(0, 25)}::${ref.slice(25, 50)}`;
  return `failed to compute cache key: failed to calculate checksum of ref ${about}: ${JSON.stringify(path)}: not found`;
}
