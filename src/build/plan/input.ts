import type { TugError } from "../../base/lib/errors.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import type { Location, Vertex } from "../graph.ts";
import type { BuildPlan, ResolvedImage } from "../plan.ts";
import type { BuildRequest } from "../request.ts";
import type { LoadedInput } from "./inputs.ts";

/** What a plan is made from. The planner reads nothing else. */
export interface PlanInput {
  readonly request: BuildRequest;
  /** Of the client that lends its directories. */
  readonly session: string;
  /** This machine's: what RUN is run on unless something else was asked for. */
  readonly host: Platform;
  readonly dockerfile: { readonly name: string; readonly text: string };
  /** The text of `<Dockerfile>.dockerignore` or else `.dockerignore`; "" when there is none. */
  readonly ignore: string;
  /** What a context from an http URL was found to be. */
  readonly httpContext?: "archive" | "dockerfile";
  /** By `imageKey`: what images say of themselves, or why they could not be asked. */
  readonly images: ReadonlyMap<string, ResolvedImage | TugError>;
  /** By name of the context: text of the `.dockerignore` of a named local context, "" when there is none. */
  readonly ignoreFiles: ReadonlyMap<string, string>;
  /** By name: what the client handed over (`BuildRequest.inputs`). */
  readonly inputs?: ReadonlyMap<string, LoadedInput>;
}

export type PlanResult =
  | { readonly kind: "planned"; readonly plan: BuildPlan }
  /** Ask again with these as well. */
  | {
      readonly kind: "needs";
      readonly images: readonly ImageNeed[];
      readonly ignoreFiles: readonly IgnoreFileNeed[];
    };

/** An image's config is needed; goes into `PlanInput.images` under `key`. */
export interface ImageNeed {
  readonly key: string;
  /** Canonical: "docker.io/library/busybox:latest". Of a layout: "name@sha256:…". */
  readonly reference: string;
  readonly platform: Platform;
  /** Ask the registry even if it is here. */
  readonly pull: boolean;
  /** Of an OCI layout: the content store of the client that has it. */
  readonly store: string | undefined;
  /** As progress shows it: "[internal] load metadata for docker.io/library/busybox:latest". */
  readonly progressName: string;
  readonly location: Location | undefined;
}

/** `vertex` has the `.dockerignore` of a named context, if it has one; goes into `PlanInput.ignoreFiles` under `context`. */
export interface IgnoreFileNeed {
  readonly context: string;
  readonly vertex: Vertex;
}

/** Key of an image in `PlanInput.images`. */
export function imageKey(reference: string, platform: Platform, store?: string): string {
  return `${store === undefined ? "" : `${store}|`}${reference}|${formatPlatform(platform)}`;
}
