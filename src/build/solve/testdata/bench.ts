import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../base/lib/clock.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { Semaphore } from "../../../base/lib/semaphore.ts";
import { ImageFixture } from "../../../core/image/testdata/fixture.ts";
import type { SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import { digestOfValue } from "../../canonical.ts";
import type { ExecMount, ExecOp, FileOp, LocalSource, Op, SourceOp, Vertex } from "../../graph.ts";
import { copyAction } from "../../plan/copy-action.ts";
import { execOp } from "../../plan/exec-op.ts";
import type { LogProgress, ProgressSink, StatusProgress, VertexProgress } from "../../progress.ts";
import type { ContentKeys, SourceRunner, StepContext } from "../../run/runner.ts";
import type { BuildSession } from "../../session.ts";
import type { BuildCache } from "../cache.ts";
import type { CacheObjects } from "../objects.ts";
import { openBuildStore } from "../open.ts";
import type { CacheRecords } from "../records.ts";
import type { Runners } from "../runners.ts";
import { GraphSolver } from "../solver.ts";
import type { BuildSnapshots } from "../step-snapshots.ts";

const platform = { os: "linux", architecture: "amd64" };

/** A vertex with the digest that a planner gives it. */
export function vertex(op: Op, inputs: readonly Vertex[] = [], more: Partial<Vertex> = {}): Vertex {
  const digest = digestOfValue([op, inputs.map((input) => input.digest)]);
  const name = op.kind === "exec" ? op.args.join(" ") : `${op.kind} ${digest.slice(7, 13)}`;
  return { digest, op, inputs, name, location: undefined, ignoreCache: false, ...more };
}

export function run(command: string, root?: Vertex, more: Omit<Partial<Vertex>, "op"> & { readonly op?: Partial<ExecOp> } = {}): Vertex {
  const { op: given, ...rest } = more;
  const op = execOp({ root: root ? 0 : undefined, args: [command], platform, ...given });
  return vertex(op, rest.inputs ?? (root ? [root] : []), rest);
}

export function bind(from: number, source: string): ExecMount {
  return { kind: "bind", target: "/mnt", from, source, readonly: true };
}

export function copy(from: Vertex, path: string, root?: Vertex, more: Partial<Vertex> = {}): Vertex {
  const action = copyAction({ from: 0, sources: [path], dest: "/" });
  const op: FileOp = { kind: "file", root: root ? 1 : undefined, actions: [action], epoch: undefined, platform };
  return vertex(op, root ? [from, root] : [from], more);
}

export const image = (name: string): Vertex =>
  vertex({ kind: "image", reference: name, image: digestOfValue(name), platform });

export const local = (session = "s1"): Vertex =>
  vertex({ kind: "local", name: "context", session, exclude: [], include: [] });

export const git = (remote: string): Vertex =>
  vertex({ kind: "git", remote, ref: "", subdir: "", keepGitDir: false, submodules: true, mtime: "checkout", checksum: undefined });

/** Everything that a sink was told. */
export class Heard implements ProgressSink {
  readonly vertices: VertexProgress[] = [];
  readonly logs: LogProgress[] = [];
  readonly statuses: StatusProgress[] = [];
  vertex(vertex: VertexProgress): void {
    this.vertices.push(vertex);
  }
  status(status: StatusProgress): void {
    this.statuses.push(status);
  }
  log(log: LogProgress): void {
    this.logs.push(log);
  }
  warning(): void {}

  get text(): string {
    return Buffer.concat(this.logs.map((log) => log.bytes)).toString();
  }

  /** How each vertex came out. */
  get ends(): Readonly<Record<string, string>> {
    const ends: Record<string, string> = {};
    for (const { name, cached, started, completed, error } of this.vertices) {
      const running = completed === undefined ? "running" : "done";
      ends[name] = error ?? (cached ? "cached" : started === undefined ? "waiting" : running);
    }
    return ends;
  }
}

/** What a fake step does: writes files into its tree by its command, and waits where the test says so. */
export type Command = (step: StepContext<ExecOp>, tree: string) => Promise<void> | void;

/** A solver on real snapshots and records, with runners that write small files. */
export class SolverBench implements AsyncDisposable {
  readonly stores: ImageFixture;
  readonly steps: BuildSnapshots;
  readonly records: CacheRecords;
  readonly cache: BuildCache;
  readonly solver: GraphSolver;
  /** What ran, in the order in which it began: commands, "copy …", "pull …". */
  readonly ran: string[] = [];
  /** Images that were pulled: names and top layers. */
  readonly pulls = new Map<string, ChainId>();
  /** Trees of contexts that were given back. */
  readonly released: string[] = [];
  readonly commands = new Map<string, Command>();
  /** Files of the local context. */
  context: Record<string, string> = { a: "1" };
  readonly objects: CacheObjects[] = [];
  /** What looking at a git repository waits for, and what it finds. */
  gate: Promise<void> = Promise.resolve();
  commit = "1";

  private constructor(
    stores: ImageFixture,
    clock: Clock,
    parallel: number,
    runners: (bench: SolverBench) => Partial<Runners> = () => ({}),
    boot = "a boot",
  ) {
    this.stores = stores;
    const { db, snapshots, base } = stores;
    const log = silentLog;
    const objects = () => this.objects;
    const store = openBuildStore({ db, snapshots, layers: stores.images, objects, policy: () => undefined, directory: base, clock, log, boot });
    const { steps, records, cache } = store;
    this.steps = steps;
    this.records = records;
    this.cache = cache;
    stores.keptByOthers = (layer) => cache.keeps(layer);
    this.solver = new GraphSolver({
      runners: { ...this.#runners(), ...runners(this) },
      content: this.#content(),
      cache,
      records,
      steps: new Semaphore(parallel),
      sources: new Semaphore(4),
      clock,
      log,
    });
  }

  static async open(
    options: {
      readonly driver?: "overlay2" | "vfs";
      readonly clock?: Clock;
      readonly parallel?: number;
      readonly runners?: (bench: SolverBench) => Partial<Runners>;
    } = {},
  ): Promise<SolverBench> {
    const stores = await ImageFixture.open(options.driver);
    return new SolverBench(stores, options.clock ?? systemClock, options.parallel ?? 4, options.runners);
  }

  /** On the same stores: what the next daemon does. */
  async restart(options: { readonly machineWentDown?: boolean; readonly clock?: Clock } = {}): Promise<SolverBench> {
    await this.steps.settled();
    const boot = options.machineWentDown ? "another boot" : "a boot";
    const next = new SolverBench(this.stores, options.clock ?? systemClock, 4, undefined, boot);
    await next.cache.recover();
    return next;
  }

  async solve(
    vertices: readonly Vertex[],
    more: Partial<Parameters<GraphSolver["solve"]>[1]> = {},
  ): Promise<{ readonly trees: readonly Record<string, string>[]; readonly heard: Heard; readonly keys: readonly Digest[] }> {
    const heard = new Heard();
    const { signal } = new AbortController();
    const results = await this.solver.solve(vertices, { session: session("s1"), signal, progress: heard, ...more });
    const trees = results.map((result) => this.files(result.snapshot));
    for (const result of results) result[Symbol.dispose]();
    return { trees, heard, keys: results.map((result) => result.key) };
  }

  /** Text of the files of a tree, lower layers included. */
  files(snapshot: ChainId | undefined): Record<string, string> {
    if (snapshot === undefined) return {};
    const layout = this.steps.layout(snapshot);
    const roots = layout.kind === "tree" ? [layout.tree] : [...layout.lowers.toReversed(), layout.upper];
    const found: Record<string, string> = {};
    for (const root of roots)
      for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }))
        if (lstatSync(join(root, name)).isFile()) found[name] = readFileSync(join(root, name), "utf8");
    return found;
  }

  #runners(): Runners {
    return {
      exec: {
        run: async (step) => {
          const command = step.op.args.join(" ");
          this.ran.push(command);
          const root = step.op.root === undefined ? undefined : step.inputs[step.op.root]?.snapshot;
          return await this.steps.make(root, async ({ layout }) => {
            const tree = own(layout);
            const does = this.commands.get(command);
            if (does) await does(step, tree);
            else writeFileSync(join(tree, command), command);
          });
        },
      },
      file: {
        run: async (step) => {
          const [action] = step.op.actions;
          if (action?.kind !== "copy" || action.from === undefined) throw new Error("only copies here");
          const [name = ""] = action.sources;
          this.ran.push(`copy ${name}`);
          const root = step.op.root === undefined ? undefined : step.inputs[step.op.root]?.snapshot;
          const text = this.files(step.inputs[action.from]?.snapshot)[name];
          if (text === undefined) throw new Error(`${name}: not found`);
          step.onCopied?.([digestOfValue([text])]);
          return await this.steps.make(root, async ({ layout }) => writeFileSync(join(own(layout), name), text));
        },
      },
      changes: { run: async (step) => step.inputs[step.op.upper]?.snapshot },
      restack: { run: async (step) => step.inputs[step.op.layer]?.snapshot },
      image: this.#source(
        (step) => (this.pulls.get(step.op.reference) ?? step.op.image) as string as Digest,
        async (step) =>
          this.pulls.get(step.op.reference) ??
          (await this.#pulled(step.op.image as string as ChainId, step.op.reference)),
      ),
      "oci-layout": this.#source((step) => step.op.manifest, async () => undefined),
      local: {
        ...this.#source(
          () => digestOfValue(this.context),
          (step: StepContext<LocalSource>) => this.#tree(`local ${step.op.session}`, this.context),
        ),
        release: (snapshot) => void this.released.push(snapshot),
      },
      http: this.#source((step) => digestOfValue(step.op.url), (step) => this.#tree(step.op.url, {})),
      git: this.#source(
        (step) => digestOfValue([step.op.remote, this.commit]),
        (step) => this.#tree(`git ${step.op.remote}`, { readme: step.op.remote }),
      ),
    };
  }

  #source<O extends SourceOp>(
    key: (step: StepContext<O>) => Digest,
    snapshot: (step: StepContext<O>) => Promise<ChainId | undefined>,
  ): SourceRunner<O> {
    const gated = async (step: StepContext<O>) => {
      if (step.op.kind === "git") await this.gate;
      return key(step);
    };
    return { key: gated, snapshot };
  }

  async #pulled(chain: ChainId, reference: string): Promise<ChainId> {
    if (this.stores.snapshots.stat(chain)) return chain;
    this.ran.push(`pull ${reference}`);
    const key = `unpack-${reference}`;
    await this.stores.snapshots.prepare(key, undefined);
    writeFileSync(join(own(this.stores.snapshots.layout(key)), "os"), reference);
    await this.stores.snapshots.commit(chain, key);
    return chain;
  }

  async #tree(what: string, files: Readonly<Record<string, string>>): Promise<ChainId> {
    this.ran.push(what);
    return await this.steps.make(undefined, async ({ layout }) => {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(own(layout), name), text);
    });
  }

  #content(): ContentKeys {
    return {
      digest: async (snapshot, selection) => {
        const files = this.files(snapshot);
        return digestOfValue(selection.sources.map((name) => files[name]));
      },
    };
  }

  /** Snapshots that are there. */
  get names(): readonly string[] {
    return [...this.stores.snapshots.list()].map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.steps.settled();
    await this.stores[Symbol.asyncDispose]();
  }
}

export function own(layout: SnapshotLayout): string {
  return layout.kind === "tree" ? layout.tree : layout.upper;
}

export function session(id: string, secrets: Readonly<Record<string, string>> = {}): BuildSession {
  return {
    id,
    sharedKey: "",
    signal: new AbortController().signal,
    files: undefined,
    secret: async (name) => {
      const value = secrets[name];
      return value === undefined ? undefined : Buffer.from(value);
    },
    hasSsh: async () => false,
    ssh: () => Promise.reject(new Error("none")),
    credentials: async () => undefined,
    exports: undefined,
  };
}
