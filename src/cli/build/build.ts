import { messageOf } from "../../base/lib/errors.ts";
import { BuilderClient } from "../../client/build/builder.ts";
import type { SolveEvent, SolveWarning } from "../../client/build/events.ts";
import { lendCredentials, lendFiles, lendSecrets, lendUploads } from "../../client/build/lend.ts";
import { type OutputTarget, takeOutputs } from "../../client/build/outputs.ts";
import { newBuildId, openSession } from "../../client/build/session.ts";
import { lendSsh } from "../../client/build/ssh.ts";
import type { Client } from "../../client/client.ts";
import { exitError, type Invocation } from "../command.ts";
import { authFor, registryKey } from "../config/credentials.ts";
import type { Context } from "../context.ts";
import { isBrokenPipe } from "../exit.ts";
import { WholeFile } from "../io/archive.ts";
import { proxyVariables } from "../run/proxies.ts";
import { printAnswer } from "./call.ts";
import { type BuildContext, prepareContext } from "./context.ts";
import { buildDisplay } from "./display.ts";
import type { buildFlags } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { forDockerd, isTug, pushFromHere } from "./other-daemon.ts";
import type { BuildOutput } from "./outputs.ts";
import { buildError, failedSteps, warningList } from "./report.ts";
import { type BuildOrder, readOrder } from "./request.ts";
import { imageIdOf, removeStaleId, writeId, writeMetadata } from "./result-files.ts";
import { readSecrets } from "./secrets.ts";
import { openAgents } from "./ssh-agents.ts";
import { BuildTrace } from "./trace.ts";
import { EventTeller } from "./watch.ts";

type Call = Invocation<typeof buildFlags>;

/** Builds, or asks the frontend, as the flags say; gives the exit code. */
export async function runBuild(context: Context, call: Call): Promise<number> {
  const { values, args } = call;
  const client = await context.client();
  const order = await orFail("ERROR: ", async () =>
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
    files: await prepareContext(
      { path: args[0] ?? "", file: values.file, named: order.namedContexts, input: context.in },
      undo.use(new DisposableStack()),
    ),
    secret: readSecrets(values.secret, context.env),
    agents: await openAgents(withDefaultAgent(values.ssh, args[0] ?? ""), context.env, undo),
  }));
  const ref = newBuildId();
  const done = await solve(context, client, { ...lent, order, ref, signal: interrupt.signal });
  if (order.quiet && !order.call) await context.out.write(`${imageIdOf(done.response)}\n`);
  if (values.iidfile !== "" && !order.call) writeId(values.iidfile, done.response);
  if (values["metadata-file"] !== "") writeMetadata(values["metadata-file"], done.response, ref);
  return order.call ? await printAnswer(order.call, done.answer, context.out) : 0;
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
    throw exitError(words + messageOf(error), 1, error);
  }
}

interface Work {
  readonly order: BuildOrder;
  readonly ref: string;
  readonly files: BuildContext;
  readonly secret: (id: string) => Promise<Uint8Array | undefined>;
  readonly agents: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

interface Done {
  readonly response: Readonly<Record<string, string>>;
  /** What the frontend said to --call. */
  readonly answer: Readonly<Record<string, Uint8Array>>;
}

async function solve(context: Context, client: Client, work: Work): Promise<Done> {
  const { order, files, signal } = work;
  try {
    await using builder = await BuilderClient.open(client, signal);
    await using session = await openSession(client, {
      name: files.name,
      ...(files.sharedKey === undefined ? {} : { sharedKey: files.sharedKey }),
      services: services(context, work),
      signal,
    });
    const watched = await watch(context, builder, work, async () => {
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
            imports: order.cacheFrom.map(({ type, attrs }) => ({ type, attrs: { ...attrs } })),
            exports: order.cacheTo.map(({ type, attrs }) => ({ type, attrs: { ...attrs } })),
            exportRef: "",
            importRefs: [],
            exportAttrs: {},
          },
          entitlements: [...order.entitlements],
        },
        signal,
      );
      return { response, answer: {}, toPush: tug ? [] : order.outputs };
    });
    await pushFromHere(context, client, watched.toPush ?? [], order.quiet);
    return watched;
  } catch (error) {
    if (isBrokenPipe(error)) throw error;
    throw await buildError(error, context.err);
  }
}

function services(context: Context, { order, files, secret, agents }: Work) {
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
    takeOutputs(targetsOf(order.outputs, context)),
  ];
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

/** How long the daemon may take to tell the rest of a build that is over. */
const restMs = 3_000;

/** Shows the build while `work` runs, and what is to be said of it in the end. */
async function watch<T>(
  context: Context,
  builder: BuilderClient,
  { order, ref, signal }: Work,
  work: () => Promise<T>,
): Promise<T> {
  const { err } = context;
  let skew: bigint | undefined;
  const now = () => BigInt(Date.now()) * 1_000_000n - (skew ?? 0n);
  const display = buildDisplay(order.progress, err, { now, label: "tug" });
  const teller = new EventTeller(display.trace);
  const warnings: SolveWarning[] = [];
  const stop = new AbortController();
  const show = (event: SolveEvent) => {
    // The daemon's clock counts, whose times are shown.
    const started = event.vertexes.find((vertex) => vertex.started !== undefined)?.started;
    if (started !== undefined) skew ??= BigInt(Date.now()) * 1_000_000n - started;
    teller.tell(event);
    display.settle?.();
    warnings.push(...event.warnings);
  };
  const watching = (async () => {
    for await (const event of builder.status(ref, stop.signal)) show(event);
  })().catch(() => undefined); // the build's own outcome is the news
  try {
    return await work();
  } finally {
    const timer = setTimeout(() => stop.abort(), signal.aborted ? restMs / 3 : restMs);
    await watching;
    clearTimeout(timer);
    await display.finish();
    const loud = order.progress !== "quiet" && order.progress !== "none" && order.progress !== "rawjson";
    if (loud) {
      const { trace } = display;
      if (trace instanceof BuildTrace)
        await err.write(failedSteps(trace.vertices, err.isTerminal ? 100 : 10));
      if (!order.call)
        await err.write(
          warningList(warnings, context.globals.debug, err.isTerminal && !context.env["NO_COLOR"]),
        );
    }
  }
}
