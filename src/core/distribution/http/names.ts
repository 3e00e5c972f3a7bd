import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { parseIp } from "../../../base/lib/ip.ts";
import type { Names } from "./transport-error.ts";

/** How long a server has to say more about a handshake that failed. */
const probeLimit = 3000;

/** Tries the handshake again with a client that tells the alerts apart. A certificate is asked for after it (RFC 8446, 4.4.2.4) or in it. */
async function whyNoTls(host: string, port: number): Promise<"plain-http" | "client-certificate" | "other"> {
  const { promise, resolve } = Promise.withResolvers<"plain-http" | "client-certificate" | "other">();
  const servername = parseIp(host) ? {} : { servername: host };
  const socket = connect({ host, port, rejectUnauthorized: false, timeout: probeLimit, ...servername });
  socket.on("secureConnect", () => socket.write("GET /v2/ HTTP/1.0\r\n\r\n"));
  socket.on("error", (error: NodeJS.ErrnoException) => {
    const code = error.code ?? "";
    if (/CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE/.test(code)) resolve("client-certificate");
    else resolve(/WRONG_VERSION_NUMBER|HTTP_REQUEST/.test(code) ? "plain-http" : "other");
  });
  for (const event of ["close", "timeout", "data"]) socket.on(event, () => resolve("other"));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** The host's own resolver. */
export function systemNames(resolvConf = "/etc/resolv.conf"): Names {
  return {
    async lookup(host) {
      try {
        return (await lookup(host, { all: true })).map((each) => each.address);
      } catch {
        // No address is an answer here: the request itself fails with the reason.
        return [];
      }
    },
    handshake: whyNoTls,
    get server() {
      let text = "";
      try {
        text = readFileSync(resolvConf, "utf8");
      } catch {
        // Without the file the resolver asks this host (man 5 resolv.conf).
        text = "";
      }
      const server = /^\s*nameserver\s+(\S+)/m.exec(text)?.[1] ?? "127.0.0.1";
      return server.includes(":") ? `[${server}]:53` : `${server}:53`;
    },
  };
}
