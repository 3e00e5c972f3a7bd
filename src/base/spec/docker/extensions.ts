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
