import { expect, test } from "bun:test";
import { hostCpu } from "./host-cpu.ts";
import { parseNetDev } from "./net-counters.ts";
import { statsResponse } from "./wire.ts";

test("the host's CPU time is the sum of the states that do not overlap", () => {
  const text = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\n";
  expect(hostCpu(text)).toEqual({ total: 36 * 10_000_000, online: 2 });
  expect(hostCpu().total).toBeGreaterThan(0);
});

test("interfaces are read from net/dev, without the loopback", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1234      12    1    2    0     0          0         0     5678      34    3    4    0     0       0          0
`;
  expect(parseNetDev(text)).toEqual({
    eth0: {
      rx_bytes: 1234,
      rx_packets: 12,
      rx_errors: 1,
      rx_dropped: 2,
      tx_bytes: 5678,
      tx_packets: 34,
      tx_errors: 3,
      tx_dropped: 4,
    },
  });
});

test("a container that does not run has a response without figures", () => {
  const response = statsResponse({ id: "abc", name: "web" }, undefined, undefined);
  expect(response).toMatchObject({ id: "abc", name: "/web", memory_stats: {}, read: "0001-01-01T00:00:00Z" });
});
