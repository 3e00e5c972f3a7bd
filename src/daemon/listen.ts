import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Api } from "../api/server.ts";
import type { Listener } from "../base/http/listener.ts";
import type { Log } from "../base/lib/log.ts";
import type { DaemonConfig } from "./config/config.ts";
import { inheritedSockets } from "./inherited-sockets.ts";

/** Opens every `-H`; when one fails those already open are closed again. */
export function listenAll(api: Api, config: DaemonConfig, log: Log): readonly Listener[] {
  const open: Listener[] = [];
  try {
    for (const host of config.hosts) {
      if (host.kind === "fd") {
        open.push(...inheritedSockets(host.name).map((socket) => api.listen({ kind: "fd", ...socket })));
        continue;
      }
      if (host.kind === "unix") {
        mkdirSync(dirname(host.path), { recursive: true, mode: 0o755 });
        open.push(
          api.listen({ kind: "unix", path: host.path, mode: 0o660, group: config.group ?? "docker" }),
        );
        continue;
      }
      if (!config.tls) {
        log.warn(
          "[DEPRECATION NOTICE]: API is accessible without encryption: access to the remote API is equivalent to root access on the host",
          {
            host: `tcp://${host.host}:${host.port}`,
          },
        );
      }
      open.push(api.listen({ kind: "tcp", host: host.host, port: host.port, ...tlsFiles(config) }));
    }
    return open;
  } catch (error) {
    for (const listener of open) listener.close(0).catch(() => undefined); // the first failure is the one to tell
    throw error;
  }
}

function tlsFiles(config: DaemonConfig) {
  if (!config.tls) return {};
  const { cert, key, ca, verify } = config.tls;
  return { tls: { cert, key, clientCa: verify ? ca : undefined } };
}
