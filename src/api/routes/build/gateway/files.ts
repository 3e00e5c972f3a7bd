import { invalid } from "../../../../base/lib/errors.ts";
import type { Metadata } from "../../../../base/rpc/metadata.ts";
import { type Service, unary } from "../../../../base/rpc/server.ts";
import { toStat } from "../../../../base/rpc/tree/entry.ts";
import type { ReadableTree } from "../../../../base/spec/builder/readable-tree.ts";
import { LlbBridge } from "../../../../base/spec/buildkit/methods.ts";
import type { Platform as PbPlatform } from "../../../../base/spec/buildkit/pb.gen.ts";
import type { Platform } from "../../../../base/spec/oci/descriptor.ts";
import { hostPlatform, normalizePlatform } from "../../../../base/spec/oci/platform.ts";
import type { Builds } from "../builds.ts";
import type { GatewayBuild } from "./build.ts";

type FindGateway = (metadata: Metadata, signal: AbortSignal) => Promise<GatewayBuild>;

/** What of the gateway only looks: at files of results, and at images. */
export function gatewayFiles(builds: Builds, find: FindGateway): readonly Service[] {
  const look = async <T>(
    ref: string,
    context: { readonly metadata: Metadata; readonly signal: AbortSignal },
    work: (tree: ReadableTree) => T,
  ): Promise<T> => {
    const gateway = await find(context.metadata, context.signal);
    const signal = AbortSignal.any([context.signal, gateway.signal]);
    return await gateway.ref(ref).target.read(work, { signal, progress: gateway.job.progress });
  };
  const image = async (
    asked: {
      readonly reference: string;
      readonly platform: PbPlatform | undefined;
      readonly mode: string;
      readonly store?: string;
    },
    context: { readonly metadata: Metadata; readonly signal: AbortSignal },
  ) => {
    const gateway = await find(context.metadata, context.signal);
    const signal = AbortSignal.any([context.signal, gateway.signal]);
    return await builds.image(
      gateway.job,
      gateway.session,
      { ...asked, platform: platformOf(asked.platform) },
      signal,
    );
  };
  return [
    unary(LlbBridge.readFile, async ({ ref, filePath, range }, context) => {
      const [offset, length] = [range?.offset ?? 0n, range?.length ?? 0n];
      if (offset < 0n || length < 0n) throw invalid(`invalid range of ${filePath}`);
      const part = { offset: Number(offset), length: length === 0n ? undefined : Number(length) };
      return { data: await look(ref, context, (tree) => tree.file(filePath, part)) };
    }),
    unary(LlbBridge.readDir, async ({ ref, dirPath, includePattern }, context) => {
      const entries = await look(ref, context, (tree) => tree.directory(dirPath, includePattern));
      return { entries: entries.map(toStat) };
    }),
    unary(LlbBridge.statFile, async ({ ref, path }, context) => ({
      stat: toStat(await look(ref, context, (tree) => tree.stat(path))),
    })),
    unary(LlbBridge.resolveImageConfig, async (request, context) => {
      const { ref: reference, platform, resolveMode: mode, resolverType, storeID } = request;
      const store = resolverType === 1 ? { store: storeID } : {};
      const {
        digest,
        config,
        reference: ref,
      } = await image({ reference, platform, mode, ...store }, context);
      return { digest, config, ref };
    }),
    unary(LlbBridge.resolveSourceMeta, async ({ source, platform, resolveMode: mode }, context) => {
      if (!source) throw invalid("no source to be resolved");
      const prefix = "docker-image://";
      // Of others nothing is known before they are fetched.
      if (!source.identifier.startsWith(prefix)) return { source, image: undefined };
      const reference = source.identifier.slice(prefix.length);
      const { digest, config, pinned } = await image({ reference, platform, mode }, context);
      return {
        source: { ...source, identifier: `${prefix}${pinned}` },
        image: { digest, config },
      };
    }),
  ];
}

function platformOf(platform: PbPlatform | undefined): Platform {
  if (!platform) return normalizePlatform(hostPlatform());
  const { os, architecture, variant } = platform;
  return normalizePlatform({ os, architecture, ...(variant !== "" && { variant }) });
}
