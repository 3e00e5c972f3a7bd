import { invalid } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { lendCredentials, lendFiles, lendSecrets, lendUploads } from "../../../client/build/lend.ts";
import { lendLayouts } from "../../../client/build/lend-layouts.ts";
import { type OutputTarget, takeOutputs } from "../../../client/build/outputs.ts";
import { lendSsh } from "../../../client/build/ssh.ts";
import { takeBlobs } from "../../../client/build/take-blobs.ts";
import { authFor, registryKey, withoutHelper } from "../../config/credentials.ts";
import type { Context } from "../../context.ts";
import { WholeFile } from "../../io/archive.ts";
import type { BuildOutput } from "../outputs.ts";
import type { BuildOrder } from "../request.ts";
import type { BuildContext } from "./context.ts";

/** What the build may have of this machine's, beside what its flags say. */
export interface Lent {
  readonly files: BuildContext;
  readonly secret: (id: string) => Promise<Uint8Array | undefined>;
  /** Sockets of SSH agents by id. */
  readonly agents: Readonly<Record<string, string>>;
  /** Takes what a person should know of credential helpers: the display has the terminal meanwhile. */
  readonly complain: (text: string) => void;
}

/** What the session serves. */
export function lentServices(
  context: Context,
  { files, secret, agents, complain }: Lent,
  { outputs, cacheFrom, cacheTo }: Pick<BuildOrder, "outputs" | "cacheFrom" | "cacheTo">,
) {
  const written = storesOf(cacheTo, "dest");
  return [
    lendFiles({ directories: files.directories }),
    lendSecrets(secret),
    lendCredentials(async (host, signal) => {
      const domain = host === "registry-1.docker.io" ? "docker.io" : host;
      const asking = {
        signal,
        onSlow: complain,
        onFailure: (error: unknown) => complain(withoutHelper(error)),
      };
      const auth = await authFor(await context.config(), registryKey(domain), asking);
      if (!auth) return undefined;
      if (auth.identitytoken) return { username: "", secret: auth.identitytoken };
      return { username: auth.username ?? "", secret: auth.password ?? "" };
    }),
    ...lendSsh(agents),
    lendUploads(files.uploads),
    ...lendLayouts(new Map([...files.layouts, ...storesOf(cacheFrom, "src"), ...written])),
    takeBlobs(new Map(written)),
    takeOutputs(targetsOf(outputs, context)),
  ];
}

/** Directories of caches, by the names that BuildKit's own clients give them. */
function storesOf(caches: BuildOrder["cacheTo"], attribute: "src" | "dest") {
  return caches.flatMap(({ type, attrs }) => {
    const directory = attrs[attribute];
    return type === "local" && directory ? [[`local:${directory}`, directory] as const] : [];
  });
}

/** Exporters are known by their place. */
function targetsOf(outputs: readonly BuildOutput[], context: Context): Record<string, OutputTarget> {
  const targets: Record<string, OutputTarget> = {};
  for (const [index, { target }] of outputs.entries()) {
    if (target?.kind === "directory") targets[index] = { kind: "directory", path: target.path };
    else if (target?.kind === "file")
      targets[index] = { kind: "file", write: (bytes) => intoFile(target.path, bytes) };
    else if (target?.kind === "stdout")
      targets[index] = {
        kind: "file",
        write: async (bytes) => {
          for await (const chunk of bytes) await context.out.write(chunk);
          await context.out.flush();
        },
      };
  }
  return targets;
}

async function intoFile(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let file: WholeFile;
  try {
    file = new WholeFile(path, 0o666);
  } catch (error) {
    throw invalid(`open ${path}: ${systemText(error)}`, error);
  }
  await file.fill(bytes);
}
