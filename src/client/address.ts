import { invalid } from "../base/lib/errors.ts";

/** Where a daemon listens. `text` is what people see in messages. */
export type Address =
  | { readonly kind: "unix"; readonly path: string; readonly text: string }
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly text: string;
    }
  | {
      readonly kind: "ssh";
      readonly destination: readonly string[];
      readonly socket: string | undefined;
      readonly text: string;
    };

/** Material of a TLS connection, PEM text. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly verify: boolean;
}

export const defaultAddress = "unix:///run/tug/tug.sock";

/**
 * Parses a `--host`/DOCKER_HOST value as Docker does: unix:// with a default path, tcp:// with port 2375 (2376 with TLS),
 * a bare `host:port` as TCP, ssh://[user@]host[:port][/path/to/socket].
 */
export function parseAddress(text: string, tls = false): Address {
  const value = text.trim();
  if (value === "") return { kind: "unix", path: "/run/tug/tug.sock", text: defaultAddress };
  const split = value.indexOf("://");
  const scheme = split < 0 ? "tcp" : value.slice(0, split);
  const rest = split < 0 ? value : value.slice(split + 3);
  switch (scheme) {
    case "unix": {
      const path = rest === "" ? "/run/tug/tug.sock" : rest;
      return { kind: "unix", path, text: `unix://${path}` };
    }
    case "tcp":
    case "http":
    case "https": {
      const slash = rest.indexOf("/");
      const authority = slash < 0 ? rest : rest.slice(0, slash);
      const path = slash < 0 ? "" : rest.slice(slash).replace(/\/+$/, "");
      const match = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]]*)(?::(\d+))?$/.exec(authority);
      const port = match?.[2] === undefined ? (tls ? 2376 : 2375) : Number(match[2]);
      if (!match || port > 65535) throw invalid(`invalid bind address (${value}): invalid port or host`);
      const host = (match[1] === "" ? "localhost" : (match[1] ?? "localhost")).replace(/^\[|\]$/g, "");
      return { kind: "tcp", host, port, path, text: split < 0 ? `tcp://${value}` : value };
    }
    case "ssh": {
      const match = /^(?:([^@/]+)@)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?(\/.*)?$/.exec(rest);
      if (!match) throw invalid(`invalid ssh URL: ${value}`);
      const [, user, host = "", port, socket] = match;
      if (host.startsWith("-") || user?.startsWith("-")) throw invalid(`invalid ssh URL: ${value}`);
      const destination = [...(user ? ["-l", user] : []), ...(port ? ["-p", port] : []), "--", host];
      return { kind: "ssh", destination, socket: socket === "/" ? undefined : socket, text: value };
    }
    default:
      throw invalid(`unable to parse docker host "${value}": protocol "${scheme}" is not supported`);
  }
}
