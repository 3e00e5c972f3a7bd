import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import { openDatabase } from "../../../base/store/database.ts";
import { openOverlay2 } from "../../../core/snapshot/drivers/overlay2/overlay2.ts";
import { openVfs } from "../../../core/snapshot/drivers/vfs/vfs.ts";
import type { Mount, Snapshotter } from "../../../core/snapshot/snapshotter.ts";
import { withinMounts } from "../../../core/snapshot/testdata/within-mounts.ts";
import type { CopyAction, FileOp, Op, Vertex } from "../../graph.ts";
import { copyAction } from "../../plan/copy-action.ts";
import type { Result } from "../../result.ts";
import type { BuildSession } from "../../session.ts";
import { BuildSnapshots } from "../../solve/step-snapshots.ts";
import { BuildFilesHelper } from "../file/helper.ts";
import type { StepContext, StepSnapshots } from "../runner.ts";

/** Real snapshots and real helpers for tests of runners, in a directory of their own. */
export class TestSteps implements AsyncDisposable {
  readonly root: string;
  readonly scratch: string;
  readonly snapshotter: Snapshotter;
  readonly snapshots: StepSnapshots;
  readonly helper: BuildFilesHelper;
  readonly #close: () => void;

  private constructor(root: string, snapshotter: Snapshotter, close: () => void) {
    this.root = root;
    this.scratch = join(root, "scratch");
    mkdirSync(this.scratch);
    this.snapshotter = snapshotter;
    this.snapshots = new BuildSnapshots({
      snapshots: snapshotter,
      empty: join(root, "empty"),
      log: silentLog,
    });
    this.helper = new BuildFilesHelper({
      helperCommand: [process.execPath, join(import.meta.dir, "../../../helper/main.ts")],
    });
    this.#close = close;
  }

  static async open(driver: "overlay2" | "vfs" = "overlay2", below = tmpdir()): Promise<TestSteps> {
    const root = mkdtempSync(join(below, "tug-steps-"));
    const db = openDatabase(join(root, "db"));
    const open = driver === "overlay2" ? openOverlay2 : openVfs;
    const deps = { db, root: join(root, "snapshots"), clock: systemClock, sync: async () => undefined };
    return new TestSteps(root, await open(deps), () => db.close());
  }

  /** A committed snapshot with what `fill` puts into its merged directory. */
  async tree(fill: (directory: string) => void, parent?: ChainId): Promise<ChainId> {
    return await this.snapshots.make(parent, async ({ mounts }) => {
      this.mounted(mounts, fill);
    });
  }

  /** Looks at a snapshot's merged directory. */
  look<R>(snapshot: ChainId, use: (directory: string) => R): R {
    return this.mounted(this.snapshots.view(snapshot), use);
  }

  mounted<R>(mounts: readonly Mount[], use: (directory: string) => R): R {
    return withinMounts(this.root, mounts, use);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.helper[Symbol.asyncDispose]();
    this.#close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function resultOf(snapshot: ChainId | undefined): Result {
  return { snapshot, key: digestOf(snapshot ?? ""), [Symbol.dispose]: () => undefined };
}

export function sessionOf(parts: Partial<BuildSession> = {}): BuildSession {
  return {
    id: "session",
    sharedKey: "",
    signal: new AbortController().signal,
    files: undefined,
    secret: async () => undefined,
    hasSsh: async () => false,
    ssh: async () => {
      throw new Error("no agent");
    },
    credentials: async () => undefined,
    exports: undefined,
    ...parts,
  };
}

export function stepOf<O extends Op>(
  op: O,
  inputs: readonly (ChainId | undefined)[] = [],
  parts: { readonly session?: BuildSession; readonly signal?: AbortSignal } = {},
): StepContext<O> {
  const digest: Digest = digestOf(JSON.stringify([op, inputs]));
  const vertex: Vertex = { digest, op, inputs: [], name: op.kind, location: undefined, ignoreCache: false };
  return {
    vertex,
    op,
    inputs: inputs.map(resultOf),
    session: parts.session ?? sessionOf(),
    signal: parts.signal ?? new AbortController().signal,
    progress: { log: () => undefined, part: () => undefined },
  };
}

/** COPY of input 1 onto input 0. */
export function copyOp(sources: readonly string[], dest: string, more: Partial<CopyAction> = {}): FileOp {
  return fileOp([copyAction({ from: 1, sources, wildcard: true, dest, ...more })]);
}

export function fileOp(actions: FileOp["actions"], epoch?: number): FileOp {
  return { kind: "file", root: 0, actions, epoch, platform: { os: "linux", architecture: "amd64" } };
}
