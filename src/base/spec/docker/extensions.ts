import type { HealthConfig, HostConfig, OCIDescriptor } from "./api.gen.ts";

/** What Tug's requests can say beyond Docker's. Where these fields are absent everything is as Docker has it. */

/** A node-local secret shown to a container as a file on a tmpfs. */
export interface SecretReference {
  /** Name or id of the secret. */
  readonly Source: string;
  /** File below /run/secrets, or an absolute path; default: the secret's name. */
  readonly Target?: string;
  readonly UID?: string;
  readonly GID?: string;
  /** Default 0400. */
  readonly Mode?: number;
}

/** What must hold of another container before this one starts at boot. */
export interface Dependency {
  readonly Condition?: "started" | "healthy" | "completed";
}

export type TugHostConfig = HostConfig & {
  Secrets?: readonly SecretReference[] | undefined;
  /** Name of the container that is waited for. */
  DependsOn?: Readonly<Record<string, Dependency>> | undefined;
};

export type TugHealthConfig = HealthConfig & {
  /** What happens when the container becomes unhealthy; default "none". */
  OnFailure?: "none" | "kill" | "restart" | "stop" | undefined;
};

/** Reply of GET /distribution/{name}/manifest. */
export interface DistributionManifest {
  /** With the platform, where it is a manifest whose config tells one. */
  readonly Descriptor: OCIDescriptor;
  /** The document's own text, byte for byte. */
  readonly Document: string;
}

/** Reply of POST /system/check. */
export interface SystemCheckReport {
  /** Only records and sizes were looked at, not every byte. */
  readonly Quick: boolean;
  /** How many of each kind were looked at. */
  readonly Checked: Readonly<Record<string, number>>;
  readonly Findings: readonly SystemCheckFinding[];
}

/** One thing that is not as it should be. */
export interface SystemCheckFinding {
  readonly Kind: "database" | "blob" | "image" | "layer" | "container" | "volume" | "leftover";
  readonly Name: string;
  readonly Problem: string;
  readonly Consequence: string;
  /** The way out. */
  readonly Remedy: string;
  readonly Repaired: boolean;
  /** What a repair did, or why it failed; "" when none was tried. */
  readonly Outcome: string;
}

/** Body of POST /images/bootstrap. */
export interface ImageBootstrapRequest {
  /** Distribution and suite: "debian:bookworm". */
  readonly Image: string;
  /** The image's name; default: `Image`. */
  readonly Tag?: string | undefined;
  /** Where the packages come from; default: what debootstrap knows. */
  readonly Mirror?: string | undefined;
  /** "minbase" (the default), "buildd" or "standard". */
  readonly Variant?: string | undefined;
  /** Further packages. */
  readonly Include?: readonly string[] | undefined;
  /** Parts of the archive; default: "main". */
  readonly Components?: readonly string[] | undefined;
  /** OpenPGP keyring, base64; default: the one that the distribution's package installed on the daemon's host. */
  readonly Keyring?: string | undefined;
  readonly NoCheckSignature?: boolean | undefined;
  readonly Platform?: string | undefined;
  /** Seconds since 1970; default: the time of the newest file in the packages. */
  readonly SourceDateEpoch?: number | undefined;
}

/**
 * What a daemon has of layers, in the terms in which it can do without them: reply of GET /images/inventory, and the file that
 * `tug image inventory` writes.
 */
export interface ImageInventory {
  /** Of this format. */
  readonly Version: 1;
  /** Digests of blobs that it holds byte for byte. */
  readonly Blobs: readonly string[];
  /** Chain IDs (image-spec, config.md) of layers that it needs no blob for: dockerd's, where layers are unpacked files only. */
  readonly Chains: readonly string[];
}

/** Body of POST /images/get: an archive as GET makes it, without the layers that the inventory tells of. */
export interface PartialSaveRequest {
  readonly Names: readonly string[];
  readonly Platforms?: readonly string[] | undefined;
  readonly MissingOn: ImageInventory;
}
