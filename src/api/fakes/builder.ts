import { systemClock } from "../../base/lib/clock.ts";
import { TugError } from "../../base/lib/errors.ts";
import { silentLog } from "../../base/lib/log.ts";
import type {
  Builder,
  BuildOptions,
  BuildOutcome,
  BuildWatch,
  CombinedTarget,
  PlannedBuild,
} from "../../base/spec/builder/builder.ts";
import type { ProgressSink } from "../../base/spec/builder/progress.ts";
import type { BuildRequest } from "../../base/spec/builder/request.ts";
import type { BuildSession, ContextEntry } from "../../base/spec/builder/session.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import type { BuildkitDeps, CachePrune, CacheUsage } from "../routes/build/backend.ts";

/**
 * A builder that takes everything a client lends and makes nothing of it but a record. Lines of the Dockerfile steer it: "RUN fail" fails at its
 * line, "RUN wait" waits until it is cancelled, "RUN secret NAME", "RUN credentials HOST" and "RUN ssh" tell what the client has.
 */
export class FakeBuilder implements Builder {
  readonly requests: BuildRequest[] = [];
  /** Of the last build: the context's entries, and the contents that were asked for. */
  entries: ContextEntry[] = [];
  contents = new Map<string, string>();
  /** Those that are known, as from an earlier transfer, and not asked for. */
  known: (entry: ContextEntry) => boolean = () => false;
  /** What "RUN secret" and its like found. */
  found: string[] = [];
  cancelled = 0;
  pruned: CachePrune[] = [];
  usage: CacheUsage[] = [];
  /** Directory that `type=local` outputs send. */
  tree = "";
  /** Who wants to know what a session's build was planned from, also when its results are put together afterwards. */
  readonly #planned = new Map<string, NonNullable<BuildOptions["onPlan"]>>();

  async build(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<BuildOutcome> {
    this.requests.push(request);
    const { progress } = options;
    const text = await this.#dockerfile(request, session, progress, options.signal);
    const name = request.dockerfile || "Dockerfile";
    options.onPlan?.({ files: [{ name, text }] });
    if (request.context.kind === "local")
      await this.#receive(request.context.name, session, progress, options.signal);
    for (const [index, line] of text.split("\n").entries()) {
      if (line.startsWith("RUN ")) await this.#step(line.slice(4), index + 1, session, options);
    }
    await this.#export(request, session);
    const imageId = digestOf("image");
    return {
      response: { "containerimage.digest": imageId, "containerimage.config.digest": imageId },
      imageId,
      provenance: () => [],
    };
  }

  /** A promise of one target: it is built when it is asked for. */
  async plan(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<PlannedBuild> {
    const { onPlan } = options;
    if (onPlan) this.#planned.set(session.id, onPlan);
    const build = (order: BuildRequest, late: BuildWatch) =>
      this.build(order, session, { ...options, ...late });
    const target = {
      platform: { os: "linux", architecture: "amd64" },
      definition: { def: [Buffer.from(request.id)], metadata: {}, source: undefined },
      config: "{}",
      evaluate: async (late: BuildWatch) => void (await build({ ...request, outputs: [] }, late)),
      read: async () => {
        throw new TugError("not-found", "a fake has no files");
      },
    };
    return { targets: [target], build, [Symbol.dispose]: () => undefined };
  }

  combine(_: readonly CombinedTarget[], __: BuildRequest, session: BuildSession): PlannedBuild {
    const onPlan = this.#planned.get(session.id);
    const build = (order: BuildRequest, options: BuildWatch) =>
      this.build(order, session, { ...options, ...(onPlan && { onPlan }) });
    return { targets: [], build, [Symbol.dispose]: () => undefined };
  }

  async frontend({ source }: { readonly source: string }): Promise<void> {
    throw new TugError("not-found", `${source}: a fake has no frontends`);
  }

  async image(): Promise<never> {
    throw new TugError("not-found", "a fake has no images");
  }

  async call(
    method: "check" | "outline" | "targets",
    request: BuildRequest,
    session: BuildSession,
    options: BuildWatch,
  ) {
    this.requests.push(request);
    const text = await this.#dockerfile(request, session, options.progress, options.signal);
    return {
      "result.txt": Buffer.from(`${method}: ${text.length} characters\n`),
      "result.json": Buffer.from("{}"),
    };
  }

  async #dockerfile(
    request: BuildRequest,
    session: BuildSession,
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<string> {
    const name = request.dockerfile || "Dockerfile";
    if (request.context.kind === "http" && session.upload) {
      const text = await new Response(await session.upload(request.context.url, signal)).text();
      return text;
    }
    const from = request.dockerfileContext;
    if (from?.kind !== "local" || !session.files) throw new TugError("invalid-argument", "no Dockerfile");
    const contents = new Map<string, string>();
    await vertex(progress, `[internal] load build definition from ${name}`, async () => {
      await session.files?.receive({
        name: from.name,
        include: [name, `${name}.dockerignore`, ".dockerignore"],
        exclude: [],
        follow: [name],
        into: memory([], contents, () => false),
        signal,
        onProgress: () => undefined,
      });
    });
    const text = contents.get(name);
    if (text === undefined)
      throw new TugError("not-found", `failed to read dockerfile: open ${name}: no such file or directory`);
    return text;
  }

  async #receive(
    name: string,
    session: BuildSession,
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    this.entries = [];
    this.contents = new Map();
    await vertex(progress, "[internal] load build context", async () => {
      await session.files?.receive({
        name,
        include: [],
        exclude: ["ignored"],
        follow: [],
        into: memory(this.entries, this.contents, this.known),
        signal,
        onProgress: () => undefined,
      });
    });
  }

  async #step(command: string, line: number, session: BuildSession, options: BuildWatch): Promise<void> {
    const [word, argument = ""] = command.split(" ");
    const digest = digestOf(command);
    await vertex(
      options.progress,
      `[1/1] RUN ${command}`,
      async () => {
        options.progress.log({
          vertex: digest,
          stream: "stdout",
          bytes: Buffer.from(`output of ${command}\n`),
          at: now(),
        });
        if (word === "secret")
          this.found.push(`${argument}=${Buffer.from((await session.secret(argument)) ?? []).toString()}`);
        if (word === "credentials")
          this.found.push(`${argument}=${JSON.stringify(await session.credentials(argument))}`);
        if (word === "ssh") this.found.push(`ssh=${await session.hasSsh(argument)}`);
        if (word === "wait") await this.#wait(options.signal);
        if (word === "fail") throw stepFailure(digest, line);
      },
      digest,
    );
  }

  async #wait(signal: AbortSignal): Promise<void> {
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    }).finally(() => {
      this.cancelled++;
    });
  }

  async #export(request: BuildRequest, session: BuildSession): Promise<void> {
    for (const output of request.outputs) {
      if (output.type === "local")
        await session.exports?.tree(output.id, this.tree, { signal: session.signal });
      if (output.type === "tar" || output.type === "oci")
        await session.exports?.file(
          output.id,
          { "containerimage.digest": "x" },
          new Blob(["bytes of a tar"]).stream(),
        );
    }
  }

  /** What `buildkitRoutes` wants. */
  get deps(): BuildkitDeps {
    return {
      builder: this,
      cache: {
        usage: async () => this.usage,
        prune: async function* (this: FakeBuilder, request: CachePrune) {
          this.pruned.push(request);
          yield* this.usage.splice(0);
        }.bind(this),
      },
      worker: () => ({
        id: "tug",
        platforms: [{ os: "linux", architecture: "amd64" }],
        labels: { "org.mobyproject.buildkit.worker.snapshotter": "overlayfs" },
        gc: [],
        version: "v0.13.0",
        revision: "",
      }),
      log: silentLog,
      clock: systemClock,
    };
  }
}

const now = () => BigInt(Date.now()) * 1_000_000n;

async function vertex(
  progress: ProgressSink,
  name: string,
  work: () => Promise<void>,
  digest = digestOf(name),
): Promise<void> {
  const started = now();
  const base = { digest, inputs: [], name, cached: false, started };
  progress.vertex({ ...base, completed: undefined, error: undefined });
  try {
    await work();
    progress.vertex({ ...base, completed: now(), error: undefined });
  } catch (error) {
    progress.vertex({ ...base, completed: now(), error: String(error) });
    throw error;
  }
}

/** As the solver throws it. */
function stepFailure(digest: string, line: number): TugError {
  const error = new TugError(
    "internal",
    'process "/bin/sh -c fail" did not complete successfully: exit code: 1',
  );
  const position = { line, character: 0 };
  return Object.assign(error, {
    vertex: { digest, location: { file: 0, range: { start: position, end: position } } },
  });
}

function memory(
  entries: ContextEntry[],
  contents: Map<string, string>,
  known: (entry: ContextEntry) => boolean,
) {
  return {
    entry: (entry: ContextEntry) => {
      entries.push(entry);
      return !known(entry);
    },
    content: async (path: string, bytes: Uint8Array) => {
      contents.set(path, (contents.get(path) ?? "") + Buffer.from(bytes).toString("latin1"));
    },
    finish: async () => undefined,
  };
}
