import type { IdMap, SpecInput } from "../spec.ts";

export interface OciNamespace {
  readonly type: string;
  readonly path?: string;
}

/** The OCI names of our namespace kinds, in the order in which Docker lists them. */
const KINDS = ["mount", "network", "uts", "pid", "ipc", "user", "cgroup"] as const;

/** `linux.namespaces`: a new one, the one at a path, or none (the host's). The mount namespace is always new. */
export function ociNamespaces(namespaces: SpecInput["namespaces"]): readonly OciNamespace[] {
  return KINDS.flatMap((type): OciNamespace[] => {
    const mode = type === "mount" ? "private" : namespaces[type];
    if (mode === "host") return [];
    return [mode === "private" ? { type } : { type, path: mode }];
  });
}

/** Mappings go with a new user namespace only; a joined one has its own. */
export function idMappings(
  namespaces: SpecInput["namespaces"],
  maps: { readonly uid: readonly IdMap[]; readonly gid: readonly IdMap[] } | undefined,
): { readonly uidMappings?: readonly IdMap[]; readonly gidMappings?: readonly IdMap[] } {
  if (namespaces.user !== "private" || !maps) return {};
  return { uidMappings: maps.uid, gidMappings: maps.gid };
}
