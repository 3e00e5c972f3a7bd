import { lendCredentials, lendFiles, lendSecrets, lendUploads } from "../../client/build/lend.ts";
import { lendLayouts } from "../../client/build/lend-layouts.ts";
import { type OutputTarget, takeOutputs } from "../../client/build/outputs.ts";
import { lendSsh } from "../../client/build/ssh.ts";
import { authFor, registryKey } from "../config/credentials.ts";
import type { Context } from "../context.ts";
import { WholeFile } from "../io/archive.ts";
import type { BuildContext } from "./context.ts";
import type { BuildOutput } from "./outputs.ts";
import type { BuildOrder } from "./request.ts";

/** What the build may have of this machine's, beside what its flags say. */
export interface Lent {
  readonly files: BuildContext;
  readonly secret: (id: string) => Promise<Uint8Array | undefined>;
  /** Sockets of SSH agents by id. */
  readonly agents: Readonly<Record<string, string>>;
}

/** What the session serves. */
export function lentServices(
  context: Context,
  { files, secret, agents }: Lent,
  { outputs, cacheFrom, cacheTo }: Pick<BuildOrder, "outputs" | "cacheFrom" | "cacheTo">,
) {
  // As BuildKit's own clients name such a directory.
  const caches = cacheFrom.flatMap(({ type, attrs: { src } }) =>
    type === "local" && src ? [[`local:${src}`, src] as const] : [],
  );
  return [
    lendFiles({ directories: files.directories }),
    lendSecrets(secret),
    lendCredentials(async (host) => {
      const domain = host === "registry-1.docker.io" ? "docker.io" : host;
      const auth = await authFor(await context.config(), registryKey(domain));
      if (!auth) return undefined;
      if (auth.identitytoken) return { username: "", secret: auth.identitytoken };
      return { username: auth.username ?? "", secret: auth.password ?? "" };
    }),
    ...lendSsh(agents),
    lendUploads(files.uploads),
    ...lendLayouts(new Map([...files.layouts, ...caches])),
    takeOutputs({ ...targetsOf(outputs, context), ...cacheTargets(cacheTo) }),
  ];
}

/** A cache is taken as the tree of an OCI layout, by the name of its directory. */
function cacheTargets(caches: BuildOrder["cacheTo"]): Record<string, OutputTarget> {
  const targets: Record<string, OutputTarget> = {};
  for (const { type, attrs } of caches)
    if (type === "local" && attrs["dest"])
      targets[`cache:${attrs["dest"]}`] = { kind: "directory", path: attrs["dest"] };
  return targets;
}

/** Exporters are known by their place. */
function targetsOf(outputs: readonly BuildOutput[], context: Context): Record<string, OutputTarget> {
  const targets: Record<string, OutputTarget> = {};
  for (const [index, { target }] of outputs.entries()) {
    if (target?.kind === "directory") targets[index] = { kind: "directory", path: target.path };
    else if (target?.kind === "file")
      targets[index] = { kind: "file", write: (bytes) => new WholeFile(target.path, 0o666).fill(bytes) };
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
