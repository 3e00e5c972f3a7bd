import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestDaemon } from "../harness/daemon.ts";

let daemons: readonly TestDaemon[];
beforeAll(async () => {
  const start = () => TestDaemon.start({ busybox: false });
  daemons = await Promise.all([start(), start(), start()]);
}, 60_000);
afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.close()));
}, 60_000);

test("daemons of one host that choose subnets at the same moment never take the same one", async () => {
  const subnets = new Map<string, string>();
  for (let round = 0; round < 20; round++) {
    const made = await Promise.all(
      daemons.map((daemon) => daemon.api("POST", "/networks/create", { Name: `net-${round}` })),
    );
    expect(made.map(({ status }) => status)).toEqual([201, 201, 201]);
  }
  for (const [index, daemon] of daemons.entries()) {
    const { body } = await daemon.api("GET", "/networks");
    for (const network of body as { Name: string; IPAM: { Config: { Subnet: string }[] | null } }[])
      for (const { Subnet } of network.IPAM.Config ?? []) {
        const name = `${network.Name} of ${index}`;
        expect([name, subnets.get(Subnet)]).toEqual([name, undefined]);
        subnets.set(Subnet, name);
      }
  }
  // Those of the rounds, and the default bridges.
  expect(subnets.size).toBe(63);
}, 60_000);
