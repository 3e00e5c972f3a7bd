import type { Digest } from "../base/lib/ids.ts";
import type { StepNetwork } from "../base/spec/builder/request.ts";
import type { SourceRange } from "../base/spec/dockerfile/syntax.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";

/**
 * The graph: what a build does, as values. A *vertex* is one step: an operation and the vertices whose results it reads. The planner
 * (`plan/`) makes it from Dockerfiles without touching anything; the solver (`solve/`) decides which vertices need to run; runners
 * (`run/`) do what an operation says and decide nothing.
 *
 * Equal vertices (same operation, equal inputs) are one vertex, in one build and across builds that run at once: `digest` is the SHA-256 of the
 * operation and of the inputs' digests, as canonical JSON, and nothing else decides it. What is only told to people (names, source
 * positions) is not in the digest.
 */
export interface Vertex {
  readonly digest: Digest;
  readonly op: Op;
  readonly inputs: readonly Vertex[];
  /** As progress shows it: "[build 2/5] RUN make". */
  readonly name: string;
  /** Lines of the Dockerfile that it comes from; errors show them. */
  readonly location: Location | undefined;
  /** --no-cache, --no-cache-filter: it runs although its result is known; what it makes is known from then on. */
  readonly ignoreCache: boolean;
}

export interface Location {
  /** Index in `BuildPlan.files`. */
  readonly file: number;
  readonly range: SourceRange;
}

/** Index into `Vertex.inputs`; undefined stands for the empty tree (scratch). */
export type InputIndex = number | undefined;

export type Op = SourceOp | ExecOp | FileOp | RestackOp | ChangesOp;
export type SourceOp = ImageSource | LayoutSource | LocalSource | HttpSource | GitSource;

/** An image's root file system. The digest is pinned by the planner, so that one build never sees two versions of a name. */
export interface ImageSource {
  readonly kind: "image";
  /** Canonical: "docker.io/library/busybox:latest". */
  readonly reference: string;
  /** Of the platform's image: its config. What decides the cache is its layers (`chain`). */
  readonly image: Digest;
  readonly platform: Platform;
}

/** `oci-layout://` of the client: an image that the client's content store has. */
export interface LayoutSource {
  readonly kind: "oci-layout";
  readonly store: string;
  readonly manifest: Digest;
  readonly platform: Platform;
}

/** A directory of the client's ("context", "dockerfile", or a named context), or the tar that it sent instead. */
export interface LocalSource {
  readonly kind: "local";
  readonly name: string;
  /** Session of the client that has it: never shared with another's. */
  readonly session: string;
  /** Patterns of `.dockerignore`, in its order. */
  readonly exclude: readonly string[];
  /** Only these paths (and what their links lead to) are needed; empty: everything. Patterns as COPY has them. */
  readonly include: readonly string[];
  /** Paths whose links are followed at the client, where that is not `include`. */
  readonly follow?: readonly string[];
}

/** A file from the network: `ADD https://…`, or a remote Dockerfile or context. */
export interface HttpSource {
  readonly kind: "http";
  readonly url: string;
  readonly filename: string;
  readonly checksum: Digest | undefined;
}

export interface GitSource {
  readonly kind: "git";
  /** Without fragment: "https://host/repo.git", "git@host:repo.git". */
  readonly remote: string;
  /** Branch, tag, commit or any ref; "" is the remote's HEAD. */
  readonly ref: string;
  /** Below the root of the work tree; "" is the root. */
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** Files are as old as the checkout, or as the commit. */
  readonly mtime: "checkout" | "commit";
  /** Commit that it must be, whole or a prefix. */
  readonly checksum: string | undefined;
}

/** RUN. Its result is the root file system after it. */
export interface ExecOp {
  readonly kind: "exec";
  readonly root: InputIndex;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** As USER says it; "" is root. Looked up in the root's own passwd and group. */
  readonly user: string;
  readonly mounts: readonly ExecMount[];
  readonly network: StepNetwork;
  readonly security: "sandbox" | "insecure";
  readonly hostname: string;
  /** --add-host. */
  readonly hosts: readonly { readonly host: string; readonly address: string }[];
  /** Bytes of /dev/shm; 0: Docker's 64 MiB. */
  readonly shmSize: number;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent: string;
  /** CDI device names (`RUN --device`). */
  readonly devices: readonly { readonly name: string; readonly required: boolean }[];
  /** http_proxy and its like: in the environment, not in the digest. */
  readonly proxyEnv: readonly string[];
  /** Memory and cpu bounds of the classic API (`docker build -m`), as HostConfig names them; never in the digest. */
  readonly resources: Readonly<Record<string, number | string>>;
  readonly platform: Platform;
  // Of LLB only; absent otherwise.
  /** The root is mounted read-only. */
  readonly readonlyRoot?: boolean;
  /** Exit codes that are no failure; absent: 0. */
  readonly validExitCodes?: readonly number[];
  /**
   * What of its trees is kept, as indices in `mounts` (writable bind mounts), -1 for the root; absent: the root. Vertices that differ in `result`
   * alone are outputs of one run.
   */
  readonly kept?: readonly number[];
  /** One of `kept`: the vertex's own result. */
  readonly result?: number;
}

export type ExecMount =
  /** What is written is thrown away. `source`: path within the input. */
  | {
      readonly kind: "bind";
      readonly target: string;
      readonly from: InputIndex;
      readonly source: string;
      readonly readonly: boolean;
    }
  | {
      readonly kind: "cache";
      readonly target: string;
      readonly id: string;
      readonly sharing: "shared" | "private" | "locked";
      /** What a new cache begins with. */
      readonly from: InputIndex;
      readonly source: string;
      readonly readonly: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly kind: "tmpfs"; readonly target: string; readonly size: number }
  | {
      readonly kind: "secret";
      /** undefined: only in the environment. */
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly id: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly kind: "ssh";
      readonly target: string;
      readonly id: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** COPY, ADD, WORKDIR, heredocs: actions on `root`, one after the other. */
export interface FileOp {
  readonly kind: "file";
  readonly root: InputIndex;
  readonly actions: readonly FileAction[];
  /** Times of what is made (SOURCE_DATE_EPOCH), seconds; undefined: copies keep the source's, made ones get now. */
  readonly epoch: number | undefined;
  readonly platform: Platform;
}

export type FileAction =
  | {
      readonly kind: "mkdir";
      readonly path: string;
      readonly mode: number;
      readonly owner: Owner | undefined;
    }
  | {
      readonly kind: "write";
      readonly path: string;
      readonly mode: number;
      readonly owner: Owner | undefined;
      readonly content: string;
      /** Of `content`; absent: it is the text itself. */
      readonly encoding?: "base64";
    }
  | {
      readonly kind: "symlink";
      /** Where it is. */
      readonly path: string;
      /** What it says. */
      readonly target: string;
      readonly owner: Owner | undefined;
    }
  | {
      readonly kind: "remove";
      /** A pattern when `wildcard`. Links on the way are followed, one at its end goes itself. */
      readonly path: string;
      readonly wildcard: boolean;
      /** It may be missing. */
      readonly optional: boolean;
    }
  | CopyAction;

export interface CopyAction {
  readonly kind: "copy";
  /** What is copied from. */
  readonly from: InputIndex;
  /** Clean, relative to the root of `from`; patterns of COPY when `wildcard`. */
  readonly sources: readonly string[];
  readonly wildcard: boolean;
  /** Absolute; with a slash at the end it is a directory. */
  readonly dest: string;
  readonly owner: Owner | undefined;
  /** Octal ("0755") or symbolic ("u=rwX,go=rX"); undefined: the source's. */
  readonly chmod: string | undefined;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** ADD of local archives: unpack what is one. */
  readonly unpack: boolean;
  /** ADD of a URL: the file's mode is 0600 unless told. */
  readonly remote: boolean;
  /** What the instruction was, for errors: "COPY" or "ADD". */
  readonly instruction: "COPY" | "ADD";
  // Of LLB only; absent otherwise.
  /** A directory that is named is copied itself, not what is in it. */
  readonly whole?: boolean;
  /** A link that is named is copied as a link. */
  readonly asLink?: boolean;
  /** A pattern that matches nothing fails. */
  readonly mustMatch?: boolean;
  /** What stands in the way, of another kind, goes. */
  readonly replace?: boolean;
}

/** "user:group" as --chown has it: names are looked up in the root that is written to, else in `from`'s absence numbers only. */
export interface Owner {
  readonly user: string;
  readonly group: string | undefined;
}

/** COPY --link: the layer that `layer` added to nothing, put on `root`. */
export interface RestackOp {
  readonly kind: "restack";
  readonly root: InputIndex;
  readonly layer: number;
}

/** What is different in `upper` from `lower`, put on `root`: what changed and what is new is copied, what is gone is removed. */
export interface ChangesOp {
  readonly kind: "changes";
  readonly root: InputIndex;
  readonly lower: InputIndex;
  readonly upper: number;
  readonly platform: Platform;
}
