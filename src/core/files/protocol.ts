import type { ErrorCode } from "../../base/lib/errors.ts";
import type { DiffId } from "../../base/lib/ids.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import type { MountSpec } from "../../base/sys/mount/mount.ts";
import type { LayerTarget } from "../snapshot/apply/apply-layer.ts";
import type { SnapshotLayout } from "../snapshot/snapshotter.ts";

/**
 * A container's files as a helper process serves them: `docker cp` both ways, export, diff and the layer of a commit. The
 * daemon says which container (a *view*) and what to do; the helper opens the view's root and does all path work relative to
 * that descriptor. It dies with the daemon and with the request, and what it mounted dies with it.
 *
 * On its standard input the helper gets one frame with the request, then, for `put`, the tar as it is. On its standard
 * output it writes frames: JSON replies and data. The last frame is always a reply: `done` or `failed`.
 */
export const filesHelper = "files";

/** Which tree is looked at. */
export type FilesView =
  | {
      /** What the processes of a running container see, tmpfs mounts and volumes included. */
      readonly kind: "running";
      readonly pid: number;
      /** Guards against a reused pid (proc(5), stat field 22). */
      readonly startTime: string;
      /** Mount points that are entered from above; the kernel's own file systems are not. */
      readonly entered: readonly string[];
      /** A mount of the host whose files are not there for the view, wherever the container has them (secrets). */
      readonly hidden?: string | undefined;
      readonly userOf?: number | undefined;
    }
  | {
      /** A container without processes: its layers and its volumes, put together in the helper's own mount namespace. */
      readonly kind: "stopped";
      /** An existing directory that is mounted over there. */
      readonly scratch: string;
      readonly root: StoppedRoot;
      readonly binds: readonly BindView[];
    }
  | {
      /** A directory of the host's, without what is mounted below it. */ readonly kind: "directory";
      readonly path: string;
      /** The helper enters this process's user namespace, and so speaks of ids as its container does. */
      readonly userOf?: number | undefined;
    };

export type StoppedRoot =
  /** Nothing of the container changes: a throw-away layer in memory takes missing mount points. Nearest layer first;
   * `marks` as in `SnapshotLayout`. */
  | { readonly kind: "layers"; readonly layers: readonly string[]; readonly marks?: boolean }
  | { readonly kind: "mounts"; readonly mounts: readonly MountSpec[] };

export interface BindView {
  readonly source:
    | { readonly kind: "path"; readonly path: string; readonly subpath: string }
    | { readonly kind: "mounts"; readonly mounts: readonly MountSpec[]; readonly subpath: string };
  readonly target: string;
  readonly readonly: boolean;
}

export type FilesRequest =
  | { readonly op: "stat"; readonly view: FilesView; readonly path: string }
  | { readonly op: "get"; readonly view: FilesView; readonly path: string }
  | ({ readonly op: "put"; readonly view: FilesView; readonly path: string } & PutOptions)
  | { readonly op: "export"; readonly view: FilesView }
  | { readonly op: "changes"; readonly layout: SnapshotLayout; readonly ignored: readonly string[] }
  | {
      readonly op: "layer";
      readonly layout: SnapshotLayout;
      readonly ignored: readonly string[];
      /** An empty snapshot on the same parent, which gets the changes as well. */
      readonly target: LayerTarget | undefined;
    };

export interface PutOptions {
  readonly noOverwriteDirNonDir: boolean;
  /** Everything gets this user (as in `--user`) of the container's own /etc/passwd; undefined: what the tar says. */
  readonly owner: string | undefined;
  readonly readonlyRootfs: boolean;
  /** Mounts of the container, to tell which may be written. */
  readonly mounts: readonly { readonly target: string; readonly readonly: boolean }[];
}

export interface WrittenLayer {
  readonly diffId: DiffId;
  /** Bytes of the layer's regular files. */
  readonly size: number;
}

export interface ListedChange {
  readonly kind: "added" | "changed" | "deleted";
  readonly path: string;
}

export type FilesReply =
  /** First reply of `stat` and `get`. */
  | { readonly kind: "stat"; readonly stat: PathStat }
  /** First reply of `put`: the target is there and may be written, now send the tar. */
  | { readonly kind: "ready" }
  | { readonly kind: "changes"; readonly changes: readonly ListedChange[] }
  /** `layer`: of the plain tar, whose gzip form was the data; undefined for the other operations. */
  | { readonly kind: "done"; readonly layer?: WrittenLayer | undefined }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      /** `missing`: no such path. `ended`: the container ended before it was opened, look again. The daemon words these. */
      readonly reason: "missing" | "ended" | undefined;
    };
