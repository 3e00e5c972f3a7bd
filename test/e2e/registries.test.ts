import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeRegistry } from "../../src/core/distribution/testdata/fake-registry.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { TugRegistry } from "../harness/tug-registry.ts";

/** Where images come from and go to, by the files that other engines configure it with. */
let daemon: TestDaemon;
let scratch: string;
const write = (name: string, text: string) => {
  mkdirSync(join(scratch, name, ".."), { recursive: true });
  writeFileSync(join(scratch, name), text);
};
beforeAll(async () => {
  scratch = mkdtempSync("/tmp/tug-registries-");
  write("registries.conf", "");
  daemon = await TestDaemon.start({
    flags: ["--registry-config-dir", scratch, "--registries-conf", join(scratch, "registries.conf")],
  });
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  await daemon.close();
  rmSync(scratch, { recursive: true, force: true });
});

test("pull --explain tells each endpoint in the order it was tried, with the file that names it and the answer", async () => {
  using gone = new FakeRegistry();
  using lacking = new FakeRegistry();
  using registry = new FakeRegistry();
  gone.intercept = () => new Response("", { status: 503 });
  write(
    `${registry.host}/hosts.toml`,
    `server = "${registry.origin}"
    [host."${gone.origin}"]
    [host."${lacking.origin}"]
      capabilities = ["pull", "resolve"]
    [host."https://pushes.example"]
      capabilities = ["push"]`,
  );
  const toml = join(scratch, registry.host, "hosts.toml");
  const { code, stdout, stderr } = await daemon.tug(["pull", "--explain", `${registry.host}/app:1`]);
  expect(code).toBe(1);
  const lines = stdout.split("\n").map((line) => line.replace(/after \d+ ms/, "after N ms"));
  expect(lines).toEqual([
    `manifest 1: ${gone.origin} app (${toml}) failed after N ms: received unexpected HTTP status: 503 Service Unavailable`,
    `manifest 1: ${lacking.origin} app (${toml}) failed after N ms: manifest unknown: manifest unknown`,
    `manifest 1: https://pushes.example app (${toml}) skipped: lacks the capability resolve`,
    `manifest 1: ${registry.origin} app (${toml}) failed after N ms: manifest unknown: manifest unknown`,
    "",
  ]);
  expect(stderr).toContain(
    `manifest for ${registry.host}/app:1 not found: manifest unknown: manifest unknown`,
  );
  expect(stderr).toContain("check name and tag");
  const { body } = await daemon.api("POST", `/images/create?fromImage=${registry.host}/app&tag=1&explain=1`);
  expect(String(body)).toContain('"Trial":{"endpoint":');
});

test("registries.conf is obeyed at the next pull: a prefix that moved, and one that is blocked", async () => {
  await using registry = await TugRegistry.start();
  const [moved, blocked] = ["moved.example/team", "blocked.example"];
  await daemon.ok(["tag", "busybox", `${registry.address}/archive/team/app:1`]);
  await daemon.ok(["push", `${registry.address}/archive/team/app:1`]);
  write(
    "registries.conf",
    `[[registry]]
    prefix = "${moved}"
    location = "${registry.address}/archive/team"
    insecure = true
    [[registry]]
    location = "${blocked}"
    blocked = true`,
  );
  expect(await daemon.ok(["pull", "-q", `${moved}/app:1`])).toBe(`${moved}/app:1`);
  const refused = await daemon.tug(["pull", `${blocked}/app:1`]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`registry ${blocked} is blocked in ${join(scratch, "registries.conf")}`);
  write("registries.conf", "[[registry]\n");
  const broken = await daemon.tug(["pull", `${moved}/app:1`]);
  expect(broken.stderr).toContain(`failed to decode ${join(scratch, "registries.conf")}`);
  write("registries.conf", "");
  await daemon.ok(["rmi", `${moved}/app:1`, `${registry.address}/archive/team/app:1`]);
});

test("the layers of a base image are mounted from where it was pulled, not sent", async () => {
  await using registry = await TugRegistry.start();
  const [base, derived] = [`${registry.address}/base:1`, `${registry.address}/derived:1`];
  await daemon.ok(["tag", "busybox", base]);
  await daemon.ok(["push", base]);
  await daemon.ok(["rmi", base]);
  await daemon.ok(["pull", base]);
  await daemon.ok(["run", "--name", "changed", base, "touch", "/new"]);
  await daemon.ok(["commit", "changed", derived]);
  await daemon.ok(["rm", "changed"]);
  const pushed = await daemon.ok(["push", derived]);
  expect(pushed).toContain(": Mounted from base");
  expect(pushed.match(/: Pushed/g)).toHaveLength(1);
  await daemon.ok(["rmi", derived, base]);
});
