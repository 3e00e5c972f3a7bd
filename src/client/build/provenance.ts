import { isCode } from "../../base/lib/errors.ts";
import type { RpcClient } from "../../base/rpc/client.ts";
import { BuildHistoryRequest, type BuildResultInfo } from "../../base/spec/buildkit/control.gen.ts";
import { Content, Control } from "../../base/spec/buildkit/methods.ts";

/**
 * Where the results of a build came from, as its record in the builder's history has it (SLSA predicates as JSON): by platform, "" for the only
 * one. Empty: the builder keeps none.
 */
export async function readProvenance(
  rpc: RpcClient,
  ref: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const take = async (platform: string, { attestations }: BuildResultInfo) => {
    const kept = attestations.find(({ annotations }) =>
      annotations["in-toto.io/predicate-type"]?.startsWith("https://slsa.dev/provenance/"),
    );
    if (!kept) return;
    const pieces: Uint8Array[] = [];
    const request = { digest: kept.digest, offset: 0n, size: 0n };
    for await (const { data } of rpc.replies(Content.read, request, { signal })) pieces.push(data);
    found.set(platform, Buffer.concat(pieces));
  };
  try {
    const asked = BuildHistoryRequest.create({ ref, earlyExit: true });
    for await (const { record } of rpc.replies(Control.listenBuildHistory, asked, { signal })) {
      if (record?.result) await take("", record.result);
      for (const [platform, result] of Object.entries(record?.results ?? {})) await take(platform, result);
    }
  } catch (error) {
    // Builders before 0.11 keep no history.
    if (!isCode(error, "not-implemented")) throw error;
  }
  return found;
}
