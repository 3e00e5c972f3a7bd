import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestDaemon } from "../harness/daemon.ts";

let daemons: readonly TestDaemon[];
beforeAll(async () => {
  daemons = await Promise.all([TestDaemon.start(), TestDaemon.start(), TestDaemon.start()]);
}, 120_000);
afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.close()));
}, 120_000);

const onAll = async <T>(ask: (daemon: TestDaemon) => Promise<T>): Promise<T[]> =>
  await Promise.all(daemons.map(ask));

test("daemons of one host that choose subnets at the same moment never take the same one", async () => {
  for (let round = 0; round < 20; round++) {
    const made = await onAll((daemon) => daemon.api("POST", "/networks/create", { Name: `net-${round}` }));
    expect(made.map(({ status }) => status)).toEqual([201, 201, 201]);
  }
  const networks = await onAll((daemon) => daemon.api("GET", "/networks"));
  const subnets = networks.flatMap(({ body }) =>
    (body as { IPAM: { Config: { Subnet: string }[] | null } }[]).flatMap(({ IPAM }) =>
      (IPAM.Config ?? []).map(({ Subnet }) => Subnet),
    ),
  );
  // Those of the rounds, and the default bridges.
  expect([subnets.length, new Set(subnets).size]).toEqual([63, 63]);
}, 120_000);

test("daemons of one host that choose ports at the same moment never publish the same one", async () => {
  const run = ["run", "-d", "-p", "80", "-p", "81", "-p", "82", "busybox", "sleep", "1000"];
  const ports: string[] = [];
  for (let round = 0; round < 5; round++) {
    const ids = await onAll((daemon) => daemon.ok(run));
    const told = await Promise.all(daemons.map((daemon, index) => daemon.ok(["port", ids[index] ?? ""])));
    ports.push(...told.flatMap((text) => text.split("\n").map((line) => line.split(":").at(-1) ?? line)));
  }
  expect([ports.length, new Set(ports).size]).toEqual([45, 45]);
}, 120_000);
