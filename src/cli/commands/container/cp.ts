import { invalid, isCode, TugError } from "../../../base/lib/errors.ts";
import type { PathStat } from "../../../base/spec/docker/path-stat.ts";
import type { Client } from "../../../client/client.ts";
import { getArchive } from "../../../client/containers/archive-get.ts";
import { putArchive } from "../../../client/containers/archive-put.ts";
import { statArchive } from "../../../client/containers/archive-stat.ts";
import { defineCommand, exactly } from "../../command.ts";
import type { Context } from "../../context.ts";
import { extractTree } from "../../copy/extract.ts";
import { packTree } from "../../copy/pack.ts";
import {
  absolute,
  type CopyEnd,
  localDestination,
  localSource,
  planCopy,
  splitOperand,
  splitPath,
} from "../../copy/paths.ts";
import { bool, type Values } from "../../flags/flag.ts";
import { humanSize } from "../../format/units.ts";

const flags = {
  archive: bool("a", "Keep owner and group of what is copied"),
  "follow-link": bool("L", "Copy what a symbolic link in SRC_PATH leads to"),
  quiet: bool("q", "Do not show progress"),
};

// Go's os.FileMode bits, as the daemon sends them.
const modeDirectory = 2 ** 31;
const modeSymlink = 2 ** 27;
const irregular = [2 ** 26, 2 ** 25, 2 ** 24, 2 ** 21]; // device, pipe, socket, character device
const has = (mode: number, bit: number) => Math.floor(mode / bit) % 2 === 1;

export const command = defineCommand({
  usage: ["[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-", "[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"],
  description:
    "Use '-' as the source to unpack a tar archive from standard input into a directory of a container, and '-' as the\ndestination to write a tar archive of the source to standard output.",
  args: exactly(2),
  flags,
  async run(context, { values, args: [from = "", to = ""] }) {
    if (from === "") throw invalid("source can not be empty");
    if (to === "") throw invalid("destination can not be empty");
    const source = splitOperand(from);
    const target = splitOperand(to);
    if (source.container !== "" && target.container !== "")
      throw invalid("copying between containers is not supported");
    const client = await context.client();
    const copy = { context, client, values };
    if (source.container !== "") await copyOut(copy, source.container, source.path, target.path);
    else if (target.container !== "") await copyIn(copy, source.path, target.container, target.path);
    else throw invalid("must specify at least one container source");
    return 0;
  },
});

interface Copy {
  readonly context: Context;
  readonly client: Client;
  readonly values: Values<typeof flags>;
}

async function copyOut(
  { context, client, values }: Copy,
  container: string,
  asked: string,
  local: string,
): Promise<void> {
  let path = asked;
  // The archive is named for what was asked for, even when a link led elsewhere.
  const { base } = splitPath(rooted(asked));
  if (values["follow-link"]) {
    const stat = await statArchive(client, container, path).catch((error: unknown) => {
      if (isCode(error, "not-found")) return undefined; // told by the copy itself
      throw error;
    });
    if (stat && has(stat.mode, modeSymlink)) path = linked(path, stat);
  }
  if (local === "-" && context.out.isTerminal)
    throw invalid("refusing to copy to a terminal, redirect the output");
  const destination = local === "-" ? undefined : localDestination(absolute(local)); // refused before anything is asked for
  const { stat, reply } = await getArchive(client, container, path);
  try {
    if (destination === undefined) {
      for await (const chunk of reply.body) await context.out.write(chunk);
      return;
    }
    const plan = planCopy({ base, isDirectory: has(stat.mode, modeDirectory) }, destination);
    const archived = splitPath(rooted(path)).base;
    const meter = new Meter(context, values.quiet, `from ${container}`);
    await extractTree(meter.count(reply.body), plan.folder, renamer(archived, plan.base));
    await meter.done(absolute(local));
  } finally {
    reply.body.cancel();
  }
}

const rooted = (path: string) => (path.startsWith("/") ? path : `/${path}`);

function linked(path: string, stat: PathStat): string {
  return stat.linkTarget.startsWith("/")
    ? stat.linkTarget
    : `${splitPath(rooted(path)).folder}/${stat.linkTarget}`;
}

/** Gives the first name of an archive another; "." and "/" have none of their own. */
function renamer(archived: string, wanted: string): (name: string) => string {
  if (archived === wanted) return (name) => name;
  return (name) => {
    const clean = name.replace(/^(\.\/)+/, archived === "." ? "./" : "");
    if (archived === "/" || archived === ".") return `${wanted}/${clean.replace(/^\.\/?/, "")}`;
    if (clean === archived || clean.startsWith(`${archived}/`)) return wanted + clean.slice(archived.length);
    return clean;
  };
}

async function copyIn(
  { context, client, values }: Copy,
  local: string,
  container: string,
  path: string,
): Promise<void> {
  const target = await containerDestination(client, container, path);
  if (local === "-") {
    if (!target.isDirectory) throw invalid(`destination "${container}:${path}" must be a directory`);
    await putArchive(client, container, target.path, context.in.chunks(), {
      noOverwriteDirNonDir: true,
      copyOwnership: values.archive,
    });
    return;
  }
  const source = localSource(absolute(local), values["follow-link"]);
  const plan = planCopy(source, target);
  const meter = new Meter(context, values.quiet, `to ${container}`);
  await putArchive(
    client,
    container,
    plan.folder,
    meter.count(packTree(source.path, plan.base === "/" ? "." : plan.base)),
    {
      noOverwriteDirNonDir: true,
      copyOwnership: values.archive,
    },
  );
  await meter.done(`${container}:${path}`);
}

/** Looks where a copy into a container goes; a link there is followed once, as Docker does. */
async function containerDestination(client: Client, container: string, asked: string): Promise<CopyEnd> {
  let path = asked;
  let stat: PathStat | undefined;
  try {
    stat = await statArchive(client, container, path);
    if (has(stat.mode, modeSymlink)) {
      path = linked(path, stat);
      stat = await statArchive(client, container, path);
    }
  } catch (error) {
    if (!isCode(error, "not-found")) throw error;
    stat = undefined; // it may be there to be made; the daemon tells when not even its parent is
  }
  if (stat && irregular.some((bit) => has(stat.mode, bit))) {
    throw new TugError(
      "invalid-argument",
      `destination "${container}:${asked}" must be a directory or a regular file`,
    );
  }
  return {
    path,
    exists: stat !== undefined,
    isDirectory: stat !== undefined && has(stat.mode, modeDirectory),
  };
}

/** Counts bytes on the way and tells on a terminal how many they were. */
class Meter {
  readonly #context: Context;
  readonly #shown: boolean;
  readonly #words: string;
  #bytes = 0;
  #last = 0;

  constructor(context: Context, quiet: boolean, words: string) {
    this.#context = context;
    this.#shown = !quiet && context.err.isTerminal;
    this.#words = words;
  }

  async *count(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      this.#bytes += chunk.length;
      if (this.#shown && Date.now() - this.#last > 100) {
        this.#last = Date.now();
        await this.#context.err.write(`\r\x1b[2KCopying ${this.#words} - ${humanSize(this.#bytes, 3)}`);
      }
      yield chunk;
    }
  }

  async done(where: string): Promise<void> {
    if (this.#shown)
      await this.#context.err.write(
        `\r\x1b[2KSuccessfully copied ${humanSize(this.#bytes, 3)} to ${where}\n`,
      );
  }
}
