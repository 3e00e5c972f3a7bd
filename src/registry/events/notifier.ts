import type { Digest } from "../../base/lib/ids.ts";
import type { RepositoryName, Tag } from "../names.ts";

/** What happened, for those who asked to be told. */
export interface RegistryEvent {
  readonly action: "push" | "pull" | "delete" | "mount";
  readonly repository: RepositoryName;
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  readonly size: number;
  readonly tag: Tag | undefined;
  readonly fromRepository?: RepositoryName | undefined;
  readonly actor: string | undefined;
  readonly request: { readonly method: string; readonly host: string; readonly userAgent: string };
}

export interface Notifier {
  /** Never waits and never fails: what cannot be queued is counted as lost. */
  notify(event: RegistryEvent): void;
}
