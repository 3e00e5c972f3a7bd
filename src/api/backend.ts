import type {
  CheckpointBackend,
  ContainerFilesBackend,
  ContainerLifecycleBackend,
  ContainerQueryBackend,
  ContainerStreamBackend,
} from "./routes/containers/backend.ts";
import type { ExecBackend } from "./routes/exec/backend.ts";
import type { ImageBackend } from "./routes/images/backend.ts";
import type { NetworkBackend } from "./routes/networks/backend.ts";
import type { SecretBackend } from "./routes/secrets/backend.ts";
import type { SystemBackend } from "./routes/system/backend.ts";
import type { VolumeBackend } from "./routes/volumes/backend.ts";

/**
 * What the HTTP routes need from below, in the wire's own shapes of the newest API version; `compat/` bends requests and
 * replies of older versions around them. Each route group takes the one interface it needs; the engine's services have
 * methods of the same shape and are handed in by the daemon. Failures are `TugError`s whose message is Docker's.
 */
export interface Backends {
  readonly lifecycle: ContainerLifecycleBackend;
  readonly containers: ContainerQueryBackend;
  readonly streams: ContainerStreamBackend;
  readonly files: ContainerFilesBackend;
  readonly exec: ExecBackend;
  readonly images: ImageBackend;
  readonly volumes: VolumeBackend;
  readonly networks: NetworkBackend;
  readonly system: SystemBackend;
  /** Absent: the routes answer as dockerd does without its experimental features. */
  readonly checkpoints?: CheckpointBackend;
  /** Absent: the routes answer as a node that is in no swarm. */
  readonly secrets?: SecretBackend;
}
