import type { CombinedTarget, TargetRef } from "../../../base/spec/builder/builder.ts";
import { Result, SolveResponse } from "../../../base/spec/buildkit/gateway.gen.ts";
import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import type { SolveOrder } from "./parse-request.ts";

/** Metadata of results, as BuildKit names it (exporter/containerimage/exptypes). */
export const configKey = "containerimage.config";
export const platformsKey = "refs.platforms";

/** What the client returned. */
export interface Returned {
  /** undefined: no result, it only asked. */
  readonly chosen: Chosen | undefined;
  readonly metadata: Readonly<Record<string, Uint8Array>>;
}

/** What the client decided on. */
export interface Chosen {
  readonly order: SolveOrder;
  readonly targets: readonly CombinedTarget[];
}

/** A result that the client has in hand. */
export interface KnownRef {
  readonly id: string;
  readonly target: TargetRef;
  /** What it was solved with. */
  readonly order: SolveOrder;
}

/** What a client is told of its results: one, or one for each platform. Old clients take bare names. */
export function solved(
  refs: readonly KnownRef[],
  request: {
    readonly several: boolean;
    readonly allowResultReturn: boolean;
    readonly allowResultArrayRef: boolean;
  },
): SolveResponse {
  const [first] = refs;
  if (!first) return SolveResponse.create({ result: {} });
  if (!request.allowResultReturn) return SolveResponse.create({ ref: first.id });
  const named = refs.map((ref) => [formatPlatform(ref.target.platform), ref] as const);
  const metadata: Record<string, Uint8Array> = {};
  for (const [name, { target }] of named)
    if (target.config !== undefined)
      metadata[request.several ? `${configKey}/${name}` : configKey] = Buffer.from(target.config);
  if (Object.keys(metadata).length > 0) {
    const platforms = named.map(([ID, { target }]) => ({ ID, Platform: target.platform }));
    metadata[platformsKey] = Buffer.from(JSON.stringify({ Platforms: platforms }));
  }
  const full = ({ id, target }: KnownRef) => ({ id, def: target.definition });
  const ids = Object.fromEntries(named.map(([name, { id }]) => [name, id]));
  const result = request.allowResultArrayRef
    ? request.several
      ? { refs: { refs: Object.fromEntries(named.map(([name, ref]) => [name, full(ref)])) } }
      : { ref: full(first) }
    : request.several
      ? { refsDeprecated: { refs: ids } }
      : { refDeprecated: first.id };
  return SolveResponse.create({ result: Result.create({ ...result, metadata }) });
}
