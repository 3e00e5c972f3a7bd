import { invalid } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { parseNetworkMode } from "../network-mode.ts";
import type { ContainerRecord } from "../record.ts";

/**
 * Legacy links (`name` or `name:alias`) on the default bridge go to containers that are there and have a network of their own;
 * they are kept as `id:alias`, so that a rename breaks none. On other networks a link is a name for the resolver, as it is.
 */
export function resolveLinks(
  host: HostConfig,
  find: (reference: string) => ContainerRecord | undefined,
): readonly string[] {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === "network" && mode.name !== "bridge") return host.Links ?? [];
  return (host.Links ?? []).map((link) => {
    const { container, alias } = parseLink(link);
    const child = existing(container, find);
    refuseShared(child, find);
    return `${child.id}:${alias}`;
  });
}

/** Clients send back what `inspect` showed them, too: `/name:/owner/alias`. */
export function parseLink(link: string): { readonly container: string; readonly alias: string } {
  if (link === "") throw invalid("empty string specified for links");
  const [container = "", alias = container, ...rest] = link.split(":");
  if (rest.length > 0) throw invalid(`bad format for links: ${link}`);
  if (!container.startsWith("/")) return { container, alias };
  return { container: container.slice(1), alias: alias.slice(alias.lastIndexOf("/") + 1) };
}

function existing(
  reference: string,
  find: (reference: string) => ContainerRecord | undefined,
): ContainerRecord {
  const found = find(reference);
  if (!found) throw invalid(`could not get container for ${reference}: No such container: ${reference}`);
  return found;
}

function refuseShared(
  child: ContainerRecord,
  find: (reference: string) => ContainerRecord | undefined,
): void {
  const seen = new Set<string>();
  for (let at = child; !seen.has(at.id); ) {
    seen.add(at.id);
    const mode = parseNetworkMode(at.definition.host.NetworkMode);
    if (mode.kind === "host") {
      throw invalid(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    if (mode.kind !== "container") return;
    at = existing(mode.container, find);
  }
}
