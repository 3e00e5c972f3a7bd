import type { ErrorCode } from "../../../base/lib/errors.ts";

/** Name of the helper program that makes a root file system from packages. */
export const bootstrapHelper = "bootstrap";

/** What the daemon writes to the helper's standard input, as one JSON document. All paths are absolute. */
export interface BootstrapRequest {
  /** Path of debootstrap. */
  readonly program: string;
  /** Empty directory of this run's own; `root` in it becomes the tree. */
  readonly scratch: string;
  /** Packages kept between runs. */
  readonly cache: string;
  readonly suite: string;
  /** Undefined: the one that debootstrap knows for the suite. */
  readonly mirror: string | undefined;
  /** Name of debootstrap's script, where it has none of the suite's name; with a mirror only. */
  readonly script: string | undefined;
  /** "" is debootstrap's own standard variant. */
  readonly variant: string;
  readonly include: readonly string[];
  readonly components: readonly string[];
  /** Undefined only where the caller said that signatures need not be checked. */
  readonly keyring: string | undefined;
  /** Debian's name of the architecture. */
  readonly architecture: string;
  /** Seconds since the epoch that times are cut to; undefined: the newest file of any package. */
  readonly epoch: number | undefined;
}

/** The order in which things happen; each is a line of progress. */
export type BootstrapStep = "release" | "index" | "packages" | "system" | "configuration";

/** One line of JSON on the helper's standard error; the layer, a gzip'd tar, comes on standard output. */
export type BootstrapReport =
  | {
      readonly kind: "step";
      readonly step: BootstrapStep;
      readonly text: string;
      readonly current?: number;
      readonly total?: number;
      /** What is counted; bytes without it. */
      readonly units?: string;
    }
  /** The tree is made; its layer follows. */
  | { readonly kind: "tree"; readonly epoch: number; readonly version: string }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };
