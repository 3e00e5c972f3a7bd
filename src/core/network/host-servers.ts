import { readFile } from "node:fs/promises";
import { asksSystemdResolved } from "./files.ts";

/**
 * The host's resolv.conf, or with `reachable` one of servers that another network namespace can reach: those behind systemd-resolved where
 * the host asks that alone. "" when there is none.
 */
export async function hostResolvConf(options: { readonly reachable: boolean }): Promise<string> {
  const text = await readHost("/etc/resolv.conf");
  if (!options.reachable || !asksSystemdResolved(text)) return text;
  return (await readHost("/run/systemd/resolve/resolv.conf")) || text;
}

async function readHost(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}
