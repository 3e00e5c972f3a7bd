import { join } from "node:path";
import { abortable } from "../../base/lib/abort.ts";
import { messageOf } from "../../base/lib/errors.ts";
import { BuilderClient } from "../../client/build/builder.ts";
import { newBuildId, openSession } from "../../client/build/session.ts";
import type { Client } from "../../client/client.ts";
import { exitError, type Invocation } from "../command.ts";
import type { Context } from "../context.ts";
import { exitCodeOf, isBrokenPipe } from "../exit.ts";
import { proxyVariables } from "../run/proxies.ts";
import { printAnswer } from "./call.ts";
import type { buildFlags } from "./flags.ts";
import { gitAttributes } from "./git-info.ts";
import { Interrupt } from "./interrupt.ts";
import { prepareContext } from "./lent/context.ts";
import { type Lent, lentServices } from "./lent/lend.ts";
import { noteCaches, withDigest } from "./lent/local-cache.ts";
import { readSecrets } from "./lent/secrets.ts";
import { openAgents } from "./lent/ssh-agents.ts";
import { type ProvenanceMode, provenanceMembers, provenanceMode } from "./metadata-provenance.ts";
import { forDockerd, isTug, pushFromHere } from "./other-daemon.ts";
import { buildError } from "./progress/report.ts";
import { shown } from "./progress/show.ts";
import { type BuildOrder, readOrder } from "./request.ts";
import { imageIdOf, removeStaleId, writeId, writeMetadata } from "./result-files.ts";

type Call = Invocation<typeof buildFlags>;

/** Builds, or asks the frontend, as the flags say; gives the exit code. */
export async function runBuild(context: Context, call: Call): Promise<number> {
  const { values, args } = call;
  const client = await context.client();
  const order = await orFail("ERROR: failed to build: ", async () =>
    readOrder({
      ...call,
      env: context.env,
      proxies: proxyVariables((await context.config()).data, client.address.text),
      stdoutIsTerminal: context.out.isTerminal,
    }),
  );
  if (values.iidfile !== "") await orFail("ERROR: ", async () => removeStaleId(values.iidfile));
  for (const notice of order.notices) await context.err.write(`${notice}\n`);
  await using undo = new AsyncDisposableStack();
  using interrupt = new Interrupt();
  const lent = await orFail("ERROR: failed to build: ", async () => ({
    // A Dockerfile that comes through a pipe may be long in coming.
    files: await abortable(
      prepareContext(
        { path: args[0] ?? "", file: values.file, named: order.namedContexts, input: context.in },
        undo.use(new DisposableStack()),
      ),
      interrupt.signal,
    ),
    secret: readSecrets(values.secret, context.env),
    agents: await openAgents(withDefaultAgent(values.ssh, args[0] ?? ""), context.env, undo),
  }));
  const ref = newBuildId();
  const provenance =
    values["metadata-file"] === "" ? "disabled" : provenanceMode(context.env["BUILDX_METADATA_PROVENANCE"]);
  const told = await repositoryOf(context, call, { order, files: lent.files, provenance });
  const done = await solve(context, client, {
    ...lent,
    order: told,
    ref,
    provenance,
    signal: interrupt.signal,
  });
  if (order.quiet && !order.call) await context.out.write(`${imageIdOf(done.response)}\n`);
  await orFail("ERROR: ", async () => {
    if (values.iidfile !== "" && !order.call) writeId(values.iidfile, done.response);
    if (values["metadata-file"] !== "") writeMetadata(values["metadata-file"], done.response, ref);
  });
  return order.call ? await printAnswer(order.call, done.answer, context.out) : 0;
}

/** The order with what the context's repository says of itself, where that is told; labels that the user gives go first. */
async function repositoryOf(
  context: Context,
  { values, args }: Call,
  { order, files, provenance }: Pick<Work, "order" | "files" | "provenance">,
): Promise<BuildOrder> {
  const path = args[0] ?? "";
  const own = files.directories["context"];
  if (!own || path === "-") return order;
  const { attrs, problem } = await gitAttributes({
    context: own.path,
    dockerfile: values.file || join(own.path, "Dockerfile"),
    directories: files.directories,
    provenance: provenance === "max" || order.attrs["attest:provenance"] !== undefined,
    env: context.env,
  });
  if (problem !== "")
    await context.err.write(
      `WARNING: current commit information was not captured by the build: ${problem}\n`,
    );
  return { ...order, attrs: { ...attrs, ...order.attrs } };
}

/** Repositories over SSH are fetched with the agent that is there. */
function withDefaultAgent(values: readonly string[], path: string): readonly string[] {
  const overSsh = /^ssh:\/\/|^[\w-]+@[\w.-]+:/.test(path);
  return values.length === 0 && overSsh ? ["default"] : values;
}

async function orFail<T>(words: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw exitError(words + messageOf(error), exitCodeOf(error), error);
  }
}

interface Work extends Omit<Lent, "complain"> {
  readonly order: BuildOrder;
  readonly ref: string;
  readonly provenance: ProvenanceMode;
  readonly signal: AbortSignal;
}

interface Done {
  readonly response: Readonly<Record<string, string>>;
  /** What the frontend said to --call. */
  readonly answer: Readonly<Record<string, Uint8Array>>;
}

async function solve(context: Context, client: Client, work: Work): Promise<Done> {
  const { order, files, signal } = work;
  const complaints = new Set<string>();
  const complain = (text: string) => void complaints.add(text);
  // Both connections at once: on a unix socket the daemon's answers are most of their time.
  const opening = openSession(client, {
    name: files.name,
    ...(files.sharedKey === undefined ? {} : { sharedKey: files.sharedKey }),
    services: lentServices(context, { ...work, complain }, order),
    signal,
  });
  opening.catch(() => undefined); // thrown below, unless the builder's connection fails first
  await using builder = await orFail("ERROR: ", () => BuilderClient.open(client, signal));
  await using session = await orFail("ERROR: ", () => opening);
  try {
    const built = shown(context, builder, work, async () => {
      const attrs = { ...order.attrs, ...files.attrs };
      const common = { ref: work.ref, session: session.id };
      if (order.call)
        return {
          response: {},
          answer: await builder.ask(order.call.requestId, { ...common, frontendAttrs: attrs }, signal),
        };
      const tug = await isTug(builder, order, signal);
      const asked = tug ? { attrs, outputs: order.outputs } : await forDockerd(builder, attrs, order.outputs);
      const response = await builder.solve(
        {
          ...common,
          frontend: attrs["source"] === undefined ? "dockerfile.v0" : "gateway.v0",
          frontendAttrs: asked.attrs,
          exporters: asked.outputs.map(({ type, attrs }) => ({ type, attrs: { ...attrs } })),
          cache: {
            imports: order.cacheFrom
              .map(withDigest)
              .map(({ type, attrs }) => ({ type, attrs: { ...attrs } })),
            exports: order.cacheTo.map(({ type, attrs }) => ({ type, attrs: { ...attrs } })),
            exportRef: "",
            importRefs: [],
            exportAttrs: {},
          },
          entitlements: [...order.entitlements],
        },
        signal,
      );
      noteCaches(order.cacheTo, response);
      const told =
        work.provenance === "disabled"
          ? {}
          : provenanceMembers(await builder.provenance(work.ref, signal), work.provenance);
      return { response: { ...response, ...told }, answer: {}, toPush: tug ? [] : order.outputs };
    });
    // The display has the terminal until then, and what rawjson says is for programs.
    const watched = await built.finally(async () => {
      if (order.progress !== "rawjson") await context.err.write([...complaints].join(""));
    });
    await pushFromHere(context, client, watched.toPush ?? [], order.quiet);
    return watched;
  } catch (error) {
    if (isBrokenPipe(error)) throw error;
    throw await buildError(error, context.err);
  }
}
