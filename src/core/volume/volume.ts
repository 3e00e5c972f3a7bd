/**
 * Volumes: directories that outlive containers. A driver makes, mounts and removes them; the store in front of the drivers
 * keeps their records and which containers use them. `mount` may be called by many containers; the last `unmount` lets go.
 */
export interface VolumeDriver {
  readonly name: string;
  readonly scope: "local" | "global";
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>;
  remove(name: string): Promise<void>;
  /** Where it is or would be on the host; "" when the driver cannot say before mounting. */
  path(name: string): string;
  /** Makes it usable for one more holder (a container id) and returns the host path. */
  mount(name: string, holder: string): Promise<string>;
  unmount(name: string, holder: string): Promise<void>;
}

export interface Volume {
  readonly name: string;
  readonly driver: string;
  readonly mountpoint: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly scope: "local" | "global";
  /** RFC 3339. */
  readonly createdAt: string;
  readonly anonymous: boolean;
  /** Its labels or options cannot be read and are shown as none: nothing that goes by them may remove it. */
  readonly unreadable: boolean;
}

export interface NewVolume {
  /** Empty: a random 64-digit name, and anonymous. */
  readonly name: string;
  /** The name was made up, too. */
  readonly anonymous?: boolean;
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}

export interface VolumeStore {
  /** Idempotent for the same driver and options; conflict for others, with Docker's text. */
  create(volume: NewVolume): Promise<Volume>;
  get(name: string): Volume | undefined;
  list(): readonly Volume[];
  /** Throws not-found "get <name>: no such volume", conflict "volume is in use - [ids]". */
  remove(name: string, options: { readonly force: boolean }): Promise<void>;
  /** A container's durable claim, made at create and ended at remove. */
  reference(name: string, containerId: string): void;
  release(name: string, containerId: string): void;
  references(name: string): readonly string[];
  mount(name: string, containerId: string): Promise<string>;
  unmount(name: string, containerId: string): Promise<void>;
  /** First use of an empty volume takes the image's data at that path; symlink-safe, ownership and xattrs kept. */
  populate(name: string, imageRoot: string, pathInImage: string): Promise<void>;
  /** Bytes on disk. */
  usage(name: string): Promise<number>;
}
