import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { TestDaemon } from "../harness/daemon.ts";

/** CVE-2024-40635 (ids that wrap to root), CVE-2022-24769 (inheritable capabilities), CVE-2022-2995 and -36109 (supplementary groups). */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const inRange = "uids and gids must be in range 0-2147483647";

test("an id beyond 2^31-1 or below 0 is refused wherever it comes from: flag, exec, image, its passwd and group", async () => {
  await daemon.ok(["run", "-d", "--name", "up", "busybox", "sleep", "1000"]);
  for (const user of [
    "4294967296",
    "-1",
    "2147483648",
    "4294967295",
    "18446744073709551616",
    "0:4294967296",
    "1:-1",
    "0x0",
    "1e3",
    "+0",
  ]) {
    for (const command of [
      ["run", "--rm", "-u", user, "busybox"],
      ["exec", "-u", user, "up"],
    ]) {
      const { code, stdout, stderr } = await daemon.tug([...command, "id", "-u"]);
      expect([user, stdout, code === 0]).toEqual([user, "", false]);
      expect(`${user}: ${stderr}`).toMatch(
        new RegExp(`${inRange}|no matching entries in (passwd|group) file`),
      );
    }
  }
  const tooHigh = await daemon.tug(["run", "--rm", "--group-add", "4294967296", "busybox", "id", "-G"]);
  expect(tooHigh.stderr).toContain(inRange);
  await daemon.ok([
    ...["exec", "up", "sh", "-c"],
    "echo 'wrap:x:4294967296:1::/:/bin/sh' >>/etc/passwd; echo 'gwrap:x:1:4294967296::/:/bin/sh' >>/etc/passwd; echo 'many:x:4294967296:' >>/etc/group",
  ]);
  for (const user of ["wrap", "gwrap", "0:many"]) {
    const { code, stdout, stderr } = await daemon.tug(["exec", "-u", user, "up", "id"]);
    expect([user, stdout, code === 0]).toEqual([user, "", false]);
    expect(stderr).toContain(inRange);
  }
  await daemon.ok(["commit", "-c", "USER wrap", "up", "wrap:image"]);
  expect((await daemon.tug(["run", "--rm", "wrap:image", "id"])).stdout).toBe("");
  await daemon.assertClean();
  await daemon.ok(["rmi", "wrap:image"]);
}, 120_000);

test("supplementary groups are those of the container's own group file and of the request, and its own group is among them", async () => {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "up",
    "--group-add",
    "77",
    "--group-add",
    "tty",
    "busybox",
    "sleep",
    "1000",
  ]);
  await daemon.ok([
    "exec",
    "up",
    "sh",
    "-c",
    "echo 'first:x:501:www-data,x' >>/etc/group; echo 'second:x:502:daemon' >>/etc/group",
  ]);
  const groups = async (user: string) =>
    (await daemon.ok(["exec", "-u", user, "up", "id", "-G"]))
      .split(" ")
      .map(Number)
      .sort((a, b) => a - b);
  expect(await groups("www-data")).toEqual([5, 33, 77, 501]);
  expect(await groups("daemon")).toEqual([1, 5, 77, 502]);
  // A group that is named takes the place of the file's.
  expect(await groups("www-data:daemon")).toEqual([1, 5, 77]);
  expect(await groups("1234:1")).toEqual([1, 5, 77]);
  expect(await groups("1234")).toEqual([0, 5, 77]);
});

test("nothing is inheritable or ambient, for any user, added capability or privilege; exec has no more than its container", async () => {
  const look = [
    "sh",
    "-c",
    "grep -E '^(CapInh|CapAmb|CapEff|NoNewPrivs)' /proc/self/status | cut -f2 | tr '\\n' ' '",
  ];
  const nothing = "0000000000000000";
  for (const runtime of ["crun", "runc"]) {
    for (const flags of [
      [],
      ["--cap-add", "ALL"],
      ["-u", "daemon", "--cap-add", "NET_ADMIN"],
      ["--privileged"],
      ["--security-opt", "no-new-privileges"],
    ]) {
      await daemon.ok([
        "run",
        "-d",
        "--runtime",
        runtime,
        "--name",
        "caps",
        ...flags,
        "busybox",
        "sleep",
        "1000",
      ]);
      const first = await daemon.ok(["run", "--rm", "--runtime", runtime, ...flags, "busybox", ...look]);
      const [inheritable, effective, ambient, noNewPrivileges] = first.split(" ");
      expect([flags, inheritable, ambient]).toEqual([flags, nothing, nothing]);
      expect(noNewPrivileges).toBe(flags.includes("no-new-privileges") ? "1" : "0");
      expect(await daemon.ok(["exec", "caps", ...look])).toBe(first);
      if (flags.includes("-u")) expect(effective).toBe(nothing);
      await daemon.ok(["rm", "-f", "caps"]);
    }
  }
}, 120_000);
