import { invalid, isCode, TugError } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Client } from "../../client/client.ts";
import { type CreateSpec, createContainer } from "../../client/containers/create.ts";
import type { Context } from "../context.ts";
import { nodeFs, nodePath } from "../io/builtin.ts";

export interface CreateOptions {
  readonly image: string;
  readonly name: string;
  readonly platform: string;
  readonly pull: string;
  readonly quiet: boolean;
  readonly cidfile: string;
  readonly apiSocket: boolean;
}

/** Checks `--pull`. */
export function checkPull(policy: string): void {
  if (!["always", "missing", "never"].includes(policy)) {
    throw invalid(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
  }
}

/** Creates the container, pulling its image as `--pull` says, and prints the daemon's warnings; gives its id. */
export async function createWithImage(
  context: Context,
  client: Client,
  spec: (client: Client) => CreateSpec,
  options: CreateOptions,
): Promise<string> {
  const reference = /^[a-f0-9]{64}$/.test(options.image)
    ? undefined
    : familiarString(withDefaultTag(parseReference(options.image)));
  if (options.cidfile !== "" && exists(options.cidfile)) {
    throw invalid(
      `container ID file found, make sure the other container isn't running or delete ${options.cidfile}`,
    );
  }
  const pull = async () => {
    const { pullWithProgress } = await import("../progress/pull.ts");
    await pullWithProgress(context, client, {
      image: options.image,
      platform: options.platform,
      quiet: options.quiet,
      out: context.err,
    });
  };
  const socket = options.apiSocket ? await import("./api-socket.ts") : undefined;
  const wanted = socket ? (api: Client) => socket.withApiSocket(api, spec(api)) : spec;
  const create = () => createContainer(client, wanted, { name: options.name, platform: options.platform });
  if (options.pull === "always") await pull();
  let created: Awaited<ReturnType<typeof create>>;
  try {
    created = await create();
  } catch (error) {
    // 404 means the image is missing (a missing network or volume driver is told at start or otherwise).
    if (
      !isCode(error, "not-found") ||
      options.pull !== "missing" ||
      reference === undefined ||
      !isMissingImage(error)
    )
      throw error;
    if (!options.quiet) await context.err.write(`Unable to find image '${reference}' locally\n`);
    await pull();
    created = await create();
  }
  for (const warning of created.Warnings ?? []) await context.err.write(`WARNING: ${warning}\n`);
  if (options.cidfile !== "") writeIdFile(options.cidfile, created.Id);
  if (socket) await socket.copyCredentials(context, client, created.Id);
  return created.Id;
}

function isMissingImage(error: unknown): boolean {
  // Docker's client pulls on any 404 of a create; a 404 that names something else would only pull in vain.
  return !(error instanceof TugError && /: (network|container) /i.test(error.message));
}

function exists(path: string): boolean {
  return nodeFs().statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function writeIdFile(path: string, id: string): void {
  try {
    nodeFs().mkdirSync(nodePath().dirname(path), { recursive: true });
    nodeFs().writeFileSync(path, id, { mode: 0o644 });
  } catch (error) {
    nodeFs().rmSync(path, { force: true });
    throw invalid(`failed to write the container ID to the file (${path}): ${systemText(error)}`, error);
  }
}
