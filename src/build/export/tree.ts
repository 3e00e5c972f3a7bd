import { join } from "node:path";
import { tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import { Activity } from "../activity.ts";
import { sendFile, takesNone } from "./archive-exporter.ts";
import { statement } from "./attest/statement.ts";
import { predicates } from "./attest/statements.ts";
import type { ExportDeps } from "./deps.ts";
import type { ExportContext, Exporter, SolvedTarget } from "./exporter.ts";
import { flag } from "./format.ts";
import { rewriteTar } from "./rewrite-tar.ts";
import type { MountedTree } from "./tree-mounts.ts";

/** A target's tree. */
interface Tree extends MountedTree {
  /** "" when it is the only one, else "linux_arm64": where it lies in the output. */
  readonly directory: string;
  readonly platform: string;
}

/** `--output type=local`: the tree to a directory of the client's, or a directory for each platform. */
export function localExporter(deps: ExportDeps): Exporter {
  return async (context) => {
    const { session, output, progress, signal, request } = context;
    const { exports } = session;
    const { epoch } = request;
    if (!exports) throw takesNone(output.type);
    const step = new Activity(deps.clock, progress, "exporting to client directory");
    try {
      for (const tree of await treesOf(deps, context)) {
        await step.part(`copying files ${tree.platform}`, async () => {
          await using place = await deps.trees.open([tree]);
          const root = tree.directory === "" ? join(place.path, tree.name) : place.path;
          await exports.tree(output.id, root, { signal, epoch });
        });
      }
      step.done();
      return { response: {} };
    } catch (error) {
      step.done(error);
      throw error;
    }
  };
}

/** `--output type=tar`: the same as one archive. */
export function tarExporter(deps: ExportDeps): Exporter {
  return async (context) => {
    if (!context.session.exports) throw takesNone(context.output.type);
    const step = new Activity(deps.clock, context.progress, "exporting to client tarball");
    try {
      const trees = await treesOf(deps, context);
      await step.part("sending tarball", () => sendFile(context, {}, tarOf(deps, context, trees)));
      step.done();
      return { response: {} };
    } catch (error) {
      step.done(error);
      throw error;
    }
  };
}

async function treesOf(deps: ExportDeps, context: ExportContext): Promise<readonly Tree[]> {
  const { targets, request, output } = context;
  const several = targets.length > 1 || request.multiPlatform;
  const apart = several && flag(output.attributes, "platform-split", true);
  return await Promise.all(
    targets.map(async (solved) => {
      const platform = formatPlatform(solved.target.platform);
      const directory = apart ? platform.replaceAll("/", "_") : "";
      return {
        directory,
        platform,
        name: directory || "root",
        snapshot: solved.root?.snapshot,
        files: await attestationFiles(
          deps,
          context,
          solved,
          several && !apart ? `${platform.replaceAll("/", "_")}.` : "",
        ),
      };
    }),
  );
}

async function attestationFiles(
  deps: ExportDeps,
  context: ExportContext,
  solved: SolvedTarget,
  prefix: string,
) {
  const before = `${context.output.attributes["attestation-prefix"] ?? ""}${prefix}`;
  return (await predicates(deps, context, solved, false)).map(({ file, type, predicate }) => ({
    name: `${before}${file}`.replaceAll("/", "_"),
    bytes: Buffer.from(JSON.stringify(statement(type, predicate, []), undefined, 2)),
  }));
}

async function* tarOf(
  deps: ExportDeps,
  { request, signal }: ExportContext,
  trees: readonly Tree[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const { epoch } = request;
  for (const { directory, name, snapshot, files } of trees) {
    await using place = await deps.trees.open([{ name, snapshot }]);
    const fixed = epoch === undefined ? {} : { mtime: BigInt(epoch) * 1_000_000_000n, atime: undefined };
    if (directory !== "") yield tarHeader({ path: directory, kind: "directory", mode: 0o755, ...fixed });
    const below = (path: string) => (directory === "" ? path : `${directory}/${path}`);
    const own = new Set((files ?? []).map((file) => file.name));
    const source = deps.files.export({ kind: "directory", path: join(place.path, name) }, signal);
    yield* rewriteTar(
      source,
      (entry) => ({
        ...entry,
        ...fixed,
        path: below(own.has(entry.path) ? `${entry.path}.orig` : entry.path),
        ...(entry.kind === "link" && { linkPath: below(entry.linkPath) }),
      }),
      { open: true },
    );
    for (const { name: file, bytes } of files ?? []) {
      yield tarHeader({ path: below(file), kind: "file", mode: 0o644, size: bytes.length, ...fixed });
      yield bytes;
      yield tarPadding(bytes.length);
    }
  }
  yield tarTrailer;
}
