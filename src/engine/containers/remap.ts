import type { IdMap } from "../../core/runtime/spec.ts";

/**
 * Containers in a user namespace (the daemon's --userns-remap). On the disk everything belongs to the ids that the container sees:
 * layers and volumes are mounted with mapped ids, so that images are shared with containers that are not mapped, copy, commit and
 * export need know nothing of it, and the option may be switched on and off.
 */
export interface Remap extends Disposable {
  readonly maps: { readonly uid: readonly IdMap[]; readonly gid: readonly IdMap[] };
  /** Who the container's root is on the host. */
  readonly root: { readonly uid: number; readonly gid: number };
  /** Mounts `source` on `target` with mapped ids. Throws EINVAL where the file system cannot. */
  bind(source: string, target: string, options?: { readonly readOnly?: boolean }): void;
  /** Shows `source` with mapped ids at a path that lasts as long as `use`: overlay takes what it needs of it when it is mounted. */
  view(source: string, use: (path: string) => void): void;
}
