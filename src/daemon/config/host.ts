import { join } from "node:path";
import { invalid } from "../../base/lib/errors.ts";

/** Where the API listens. */
export type DaemonAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  /** A socket handed over by the service manager (sd_listen_fds(3)); "" is all of them. */
  | { readonly kind: "fd"; readonly name: string };

/** Parses a `-H` value as dockerd does. */
export function parseHost(
  text: string,
  options: { readonly tls: boolean; readonly execRoot: string },
): DaemonAddress {
  const fail = () => invalid(`invalid bind address format: ${text}`);
  const value = text.trim();
  if (value === "" || value === "unix://") return { kind: "unix", path: join(options.execRoot, "tug.sock") };
  if (value.startsWith("unix://")) {
    const path = value.slice("unix://".length);
    if (!path.startsWith("/")) throw fail();
    return { kind: "unix", path };
  }
  if (value.startsWith("fd://")) return { kind: "fd", name: value.slice("fd://".length) };
  if (value.startsWith("/")) return { kind: "unix", path: value };
  const address = value.startsWith("tcp://") ? value.slice("tcp://".length) : value;
  if (address.includes("://")) throw fail();
  const match = /^(\[[0-9a-fA-F:.%a-z]+\]|[^:[\]/]*)(?::(\d{1,5}))?\/?$/.exec(address);
  if (!match) throw fail();
  const port = match[2] === undefined ? (options.tls ? 2376 : 2375) : Number(match[2]);
  if (port > 65535) throw fail();
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1") || "localhost";
  return { kind: "tcp", host, port };
}
