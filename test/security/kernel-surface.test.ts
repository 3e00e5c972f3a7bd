import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { socketcallProgram, socketProgram } from "../../src/core/runtime/testdata/elf.ts";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

/** GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p: changing these lists is a decision, so they stand here once more. */
const masked = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];
const readonly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

for (const runtime of ["crun", "runc"]) {
  test(`what shows the host's timing, power and secrets is masked, and what changes it is read-only (${runtime})`, async () => {
    const thermal = readdirSync("/sys/devices/system/cpu")
      .map((cpu) => `/sys/devices/system/cpu/${cpu}/thermal_throttle`)
      .filter((path) => /\/cpu\d+\//.test(path) && existsSync(path));
    const id = await daemon.ok([
      "run",
      "-d",
      "--runtime",
      runtime,
      "--name",
      "one",
      "--cap-add",
      "SYS_ADMIN",
      "busybox",
      "sleep",
      "1000",
    ]);
    const { linux } = JSON.parse(
      readFileSync(join(daemon.execRoot, "containers", id, "config.json"), "utf8"),
    ) as {
      linux: { maskedPaths: string[]; readonlyPaths: string[] };
    };
    expect(linux.maskedPaths.sort()).toEqual([...masked, ...thermal].sort());
    expect(linux.readonlyPaths).toEqual(readonly);
    const inside = await daemon.ok([
      ...["exec", "one", "sh", "-c"],
      'for p in "$@"; do if [ -d $p ]; then ls -A $p; elif [ -e $p ]; then cat $p | head -c 100; fi; done 2>/dev/null; true',
      ...["sh", ...masked, ...thermal],
    ]);
    expect(inside).toBe("");
    const writes = [
      "echo 1 >/proc/sysrq-trigger",
      "echo x >/proc/sys/kernel/core_pattern",
      "echo 1 >/proc/irq/default_smp_affinity",
      "mkdir /sys/kernel/x",
      "echo 0 >/sys/kernel/mm/transparent_hugepage/enabled",
    ];
    for (const write of writes) {
      const { code } = await daemon.tug(["exec", "one", "sh", "-c", write]);
      expect([write, code === 0]).toEqual([write, false]);
    }
  });
}

test("sysctls of the host, and strings that smuggle another one, are refused", async () => {
  /** The refusal of create, or of start where that comes later. */
  const refusal = async (Sysctls: Record<string, string>, host: object = {}): Promise<string> => {
    const made = await daemon.api("POST", "/containers/create", {
      Image: "busybox",
      HostConfig: { Sysctls, ...host },
    });
    const { Id } = made.body as { Id?: string };
    const reply = Id === undefined ? made : await daemon.api("POST", `/containers/${Id}/start`);
    expect([Sysctls, reply.status]).toEqual([Sysctls, 400]);
    return (reply.body as { message: string }).message;
  };
  for (const [name, value] of [
    ["kernel.panic", "1"],
    ["vm.overcommit_memory", "1"],
    ["kernel.core_pattern", "|/bin/touch /x"],
    ["fs.file-max", "9"],
  ] as const)
    expect(await refusal({ [name]: value })).toContain("is not in a separate kernel namespace");
  expect(await refusal({ "net.ipv4.ip_forward": "1" }, { NetworkMode: "host" })).toMatch(
    /net\.ipv4\.ip_forward.*host network namespace/,
  );
  expect(await refusal({ "kernel.msgmax": "1" }, { IpcMode: "host" })).toMatch(
    /kernel\.msgmax.*hosts? ipc namespace/,
  );
  expect(await refusal({ "kernel.domainname": "x" }, { UTSMode: "host" })).toMatch(
    /kernel\.domainname.*hosts? uts namespace/,
  );
  // CVE-2022-0811: CRI-O joined them with "+"; others by lines.
  for (const value of ["1+kernel.core_pattern=|/x", "1\nkernel.panic=1", "1=2", "1\0", "1\r"])
    await refusal({ "kernel.shm_rmid_forced": value });
  for (const name of [
    "net/../kernel/panic",
    "net.ipv4/../../kernel/panic",
    "net",
    "",
    "net. ",
    "/proc/sys/net/x",
    "net.\nx",
  ])
    await refusal({ [name]: "1" });
  expect(
    await daemon.ok([
      "run",
      "--rm",
      "--sysctl",
      "net.ipv4.ip_forward=0",
      "busybox",
      "cat",
      "/proc/sys/net/ipv4/ip_forward",
    ]),
  ).toBe("0");
});

const supported = process.arch === "x64";
if (!supported) console.log("skipped: the programs of this test are machine code for x86");

test.skipIf(!supported)(
  "AF_ALG and AF_VSOCK are denied, in exec and after commit too, while 32-bit programs have their socketcall",
  async () => {
    await daemon.ok(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
    const programs = {
      alg: socketProgram(38),
      vsock: socketProgram(40),
      unix: socketProgram(1),
      old: socketcallProgram(),
    };
    for (const [name, input] of Object.entries(programs))
      await daemon.ok(["exec", "-i", "one", "sh", "-c", `cat >/bin/${name}; chmod 755 /bin/${name}`], {
        input,
      });
    const code = async (...command: string[]) => (await daemon.tug(command)).code;
    const EPERM = 1;
    expect(await code("exec", "one", "alg")).toBe(EPERM);
    expect(await code("exec", "one", "vsock")).toBe(EPERM);
    expect(await code("exec", "one", "unix")).toBeGreaterThanOrEqual(250);
    expect(await code("exec", "one", "old")).toBe(0);
    await daemon.ok(["commit", "one", "sockets"]);
    for (const runtime of ["crun", "runc"]) {
      expect(await code("run", "--rm", "--runtime", runtime, "sockets", "alg")).toBe(EPERM);
      expect(await code("run", "--rm", "--runtime", runtime, "--cap-add", "ALL", "sockets", "alg")).toBe(
        EPERM,
      );
      expect(await code("run", "--rm", "--runtime", runtime, "sockets", "old")).toBe(0);
    }
    await daemon.assertClean();
    await daemon.ok(["rmi", "sockets"]);
  },
);
