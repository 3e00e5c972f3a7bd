import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { mountPoints } from "../harness/machine.ts";
import { freePort } from "../harness/registry.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(() => daemon.close(), 120_000);

const state = (name: string, ...fields: string[]) =>
  daemon.ok(["inspect", "-f", fields.map((field) => `{{.State.${field}}}`).join(" "), name]);
const sleeper = (name: string, ...flags: string[]) =>
  daemon.ok(["run", "-d", "--name", name, ...flags, "busybox", "sleep", "1000"]);

test("after a reboot policies start what ran, and the rest has ended with 255 as in Docker", async () => {
  for (const policy of ["always", "unless-stopped", "on-failure", "no"]) {
    await sleeper(policy, "--restart", policy);
    await sleeper(`${policy}-stopped`, "--restart", policy);
    await daemon.ok(["kill", `${policy}-stopped`]);
  }
  await sleeper("removes-itself", "--rm");
  await sleeper("paused");
  await daemon.ok(["pause", "paused"]);
  await daemon.ok(["create", "--name", "never-ran", "--restart", "always", "busybox", "true"]);
  const before = Date.now();
  await daemon.powerCut();
  await daemon.up();
  const running = async () =>
    (await daemon.ok(["ps", "--format", "{{.Names}}"])).split("\n").filter(Boolean).sort();
  // Docker: `always` also what was stopped by hand, `on-failure` because 255 is a failure.
  const wanted = ["always", "always-stopped", "on-failure", "unless-stopped"];
  await eventually(
    "policies have started theirs",
    async () => (await running()).join() === wanted.join(),
    30_000,
  );
  for (const name of ["no", "paused"]) {
    expect(await state(name, "Status", "ExitCode", "Pid", "OOMKilled", "Paused")).toBe(
      "exited 255 0 false false",
    );
    expect(Date.parse(await state(name, "FinishedAt"))).toBeGreaterThanOrEqual(before - 1000);
  }
  for (const name of ["no-stopped", "unless-stopped-stopped", "on-failure-stopped"])
    expect(await state(name, "Status", "ExitCode")).toBe("exited 137");
  expect(await state("never-ran", "Status")).toBe("created");
  expect((await daemon.tug(["inspect", "removes-itself"])).code).toBe(1);
  await daemon.ok(["start", "no"]);
  expect(await daemon.ok(["exec", "no", "echo", "again"])).toBe("again");
}, 120_000);

test("after a reboot networks, addresses, ports, volumes and mounts are made anew, and nothing of the old ones is in the way", async () => {
  const port = freePort();
  await daemon.ok(["network", "create", "--subnet", "10.209.77.0/24", "net"]);
  await daemon.ok(["volume", "create", "-d", "local", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]);
  const serve = "hostname -i >/index.html; cat /data/kept >>/index.html; exec httpd -f -h /";
  await daemon.ok([
    ...["run", "-d", "--name", "web", "--restart", "always", "--network", "net", "--ip", "10.209.77.50"],
    ...[
      "-p",
      `${port}:80`,
      "-v",
      "data:/data",
      "-v",
      "memory:/memory",
      "--tmpfs",
      "/t",
      "--ipc",
      "shareable",
    ],
    ...["busybox", "sh", "-c", `test -e /data/kept || echo kept >/data/kept; ${serve}`],
  ]);
  await sleeper("dies", "--network", "net", "--ip", "10.209.77.51", "-p", "80");
  const page = async () =>
    (
      await fetch(`http://127.0.0.1:${port}/`)
        .then((response) => response.text())
        .catch(() => "")
    ).split("\n");
  await eventually("it serves", async () => (await page())[1] === "kept", 30_000);
  await daemon.powerCut();
  await daemon.up();
  await eventually("it serves again", async () => (await page())[1] === "kept", 30_000);
  expect((await page())[0]).toBe("10.209.77.50");
  expect(await daemon.ok(["inspect", "-f", "{{len .NetworkSettings.Networks.net.IPAddress}}", "dies"])).toBe(
    "0",
  );
  // The address and the names of the one that is gone are free, those of the one that runs are known.
  await sleeper("heir", "--network", "net", "--ip", "10.209.77.51");
  expect(await daemon.ok(["exec", "heir", "ping", "-c", "1", "-W", "5", "web"])).toContain("10.209.77.50");
  expect((await daemon.tug(["exec", "heir", "nslookup", "dies"])).code).not.toBe(0);
  const used = await daemon.ok(["network", "inspect", "-f", "{{len .Containers}}", "net"]);
  expect(used).toBe("2");
  const own = () => mountPoints().filter((point) => point.startsWith(`${daemon.root}/`));
  const mounted = own();
  expect(mounted).toEqual([...new Set(mounted)]);
  await daemon.ok(["rm", "-f", "-v", "web"]);
  expect(own().filter((point) => point.includes("/memory/"))).toEqual([]);
}, 120_000);

test("power cuts one after the other, the next before the last was recovered from", async () => {
  await sleeper("tough", "--restart", "always", "-v", "/anonymous");
  for (let round = 0; round < 4; round++) {
    await daemon.powerCut();
    await daemon.up();
    await Bun.sleep(round * 20);
  }
  await eventually("it runs", async () => (await daemon.ok(["ps", "-q"])) !== "", 30_000);
  expect(await daemon.ok(["exec", "tough", "echo", "here"])).toBe("here");
  expect((await daemon.ok(["volume", "ls", "-q"])).split("\n").length).toBe(1);
}, 120_000);
