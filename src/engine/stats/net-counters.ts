import type { ContainerNetworkStats } from "../../base/spec/docker/api.gen.ts";

/** Interface counters of /proc/<pid>/net/dev, without the loopback. Pure. */
export function parseNetDev(text: string): Record<string, ContainerNetworkStats> {
  const found: Record<string, ContainerNetworkStats> = {};
  for (const line of text.split("\n").slice(2)) {
    const [name = "", counters = ""] = line.split(":");
    if (name.trim() === "" || name.trim() === "lo") continue;
    const [rxBytes, rxPackets, rxErrors, rxDropped, , , , , txBytes, txPackets, txErrors, txDropped] =
      counters.trim().split(/\s+/).map(Number);
    found[name.trim()] = {
      rx_bytes: rxBytes ?? 0,
      rx_packets: rxPackets ?? 0,
      rx_errors: rxErrors ?? 0,
      rx_dropped: rxDropped ?? 0,
      tx_bytes: txBytes ?? 0,
      tx_packets: txPackets ?? 0,
      tx_errors: txErrors ?? 0,
      tx_dropped: txDropped ?? 0,
    };
  }
  return found;
}
