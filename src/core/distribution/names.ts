import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import type { Names } from "./transport-error.ts";

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
