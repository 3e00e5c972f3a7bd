import type { Secret, SecretSpec } from "../../../base/spec/docker/api.gen.ts";
import type { Filters } from "../../filters.ts";

/** Secrets of this node, in the wire shapes that a swarm's have; their data never comes back out. */
export interface SecretBackend {
  list(filters: Filters): Promise<readonly Secret[]>;
  /** `Data` is base64. */
  create(spec: SecretSpec): Promise<{ readonly ID: string }>;
  inspect(idOrName: string): Promise<Secret>;
  remove(idOrName: string): Promise<void>;
  /** Only labels can change. `version` must be the present one. */
  update(idOrName: string, version: number, spec: SecretSpec): Promise<void>;
}
