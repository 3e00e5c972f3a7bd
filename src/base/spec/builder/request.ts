import type { Definition } from "../buildkit/pb.gen.ts";
import type { Platform } from "../oci/descriptor.ts";

/** A build as it was asked for, whatever the protocol was. */
export interface BuildRequest {
  /** Chosen by the client; names the build in events and for `/build/cancel`. */
  readonly id: string;
  readonly context: ContextRef;
  /** Where the Dockerfile comes from; undefined: from the context. */
  readonly dockerfileContext: ContextRef | undefined;
  /** Path of the Dockerfile in there; "": "Dockerfile" or "dockerfile". */
  readonly dockerfile: string;
  /** "": the last stage. */
  readonly target: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: this host's. */
  readonly platforms: readonly Platform[];
  /** --build-context: what stands in place of stages and images of that name. */
  readonly namedContexts: Readonly<Record<string, ContextRef>>;
  /** true: no cache at all; names: --no-cache-filter. */
  readonly noCache: boolean | readonly string[];
  /** --pull: names are asked for at their registry even if they are here. */
  readonly pull: boolean;
  readonly network: StepNetwork;
  readonly hosts: readonly { readonly host: string; readonly address: string }[];
  readonly hostname: string;
  readonly shmSize: number;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent: string;
  readonly resources: Readonly<Record<string, number | string>>;
  /** --allow network.host, security.insecure. */
  readonly entitlements: readonly string[];
  readonly cacheFrom: readonly CacheRef[];
  readonly cacheTo: readonly CacheRef[];
  readonly outputs: readonly Output[];
  readonly attestations: Attestations;
  /** What the client says of its context's repository: "source", "revision", "localdir:context"… Nobody checks it. */
  readonly vcs?: Readonly<Record<string, string>>;
  /** Members of one image flattened to a layer on top of the base. */
  readonly squash: boolean;
  /** SOURCE_DATE_EPOCH, seconds. */
  readonly epoch: number | undefined;
  /** Multi-platform result although one platform is asked for. */
  readonly multiPlatform: boolean;
  readonly skipLintRules: readonly string[];
  readonly lintErrors: boolean;
  /** BuildKit's operations (LLB) instead of a Dockerfile: untrusted. */
  readonly definition?: Definition;
  /** What contexts of kind "input" mean, by name: operations, untrusted as well. */
  readonly inputs?: Readonly<Record<string, Definition>>;
}

/**
 * What RUN steps have of the network. A network of the daemon's (by its name or id) or that of a running container only the classic protocol can ask
 * for, as with dockerd: BuildKit knows neither.
 */
export type StepNetwork = "default" | "host" | "none" | `network:${string}` | `container:${string}`;

export type ContextRef =
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "git"; readonly url: string }
  /** A Dockerfile, or an archive that becomes the context. */
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "oci-layout"; readonly store: string; readonly reference: string }
  /** One of `BuildRequest.inputs`, as bake has the result of another target; `config`: the text of the image config that goes with it. */
  | { readonly kind: "input"; readonly name: string; readonly config?: string }
  | { readonly kind: "none" };

/**
 * `--cache-from`/`--cache-to`: "type=registry,ref=…", "type=local,src=…", "inline". "image": one that is here and has its cache in itself, which
 * is all that the classic protocol asks for.
 */
export interface CacheRef {
  readonly type: "registry" | "local" | "inline" | "image";
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Output {
  /** Id by which the session knows it; "" for the only one. */
  readonly id: string;
  readonly type: "image" | "docker" | "oci" | "local" | "tar" | "cacheonly";
  /** name, push, push-by-digest, compression, annotations ("annotation.k"), … as buildx documents them. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Attestations {
  readonly provenance: false | ProvenanceOptions;
  readonly sbom: false | { readonly generator: string };
}

export interface ProvenanceOptions {
  readonly mode: "min" | "max";
  /** Of SLSA's predicate; v0.2 unless told. */
  readonly version?: "v0.2" | "v1";
  /** Only into images, not beside trees. */
  readonly inlineOnly?: boolean;
  /** URI of who builds; Tug's own unless told. */
  readonly builderId?: string;
  /** The client's word that building it again gives the same. */
  readonly reproducible?: boolean;
  /** Beside trees; "provenance.json" unless told. */
  readonly filename?: string;
}
