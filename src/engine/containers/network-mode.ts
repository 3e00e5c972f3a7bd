/** HostConfig.NetworkMode, told apart. */
export type NetworkMode =
  | { readonly kind: "network"; readonly name: string }
  | { readonly kind: "host" }
  | { readonly kind: "none" }
  | { readonly kind: "container"; readonly container: string };

export function parseNetworkMode(text: string | undefined): NetworkMode {
  if (text === undefined || text === "" || text === "default" || text === "bridge") {
    return { kind: "network", name: "bridge" };
  }
  if (text === "host") return { kind: "host" };
  if (text === "none") return { kind: "none" };
  if (text.startsWith("container:")) return { kind: "container", container: text.slice("container:".length) };
  return { kind: "network", name: text };
}

/** "container:<id>" of an IPC or PID mode, or undefined. */
export function containerOfMode(mode: string | undefined): string | undefined {
  return mode?.startsWith("container:") ? mode.slice("container:".length) : undefined;
}
