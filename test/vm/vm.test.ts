import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { run, tugBinary } from "../harness/daemon.ts";
import { bringEmulator } from "./emulator.ts";

/**
 * Where users are: systemd, cgroup v2, Debian's own kernel, in QEMU with software emulation. The machine runs inside.sh (with builds.sh in it)
 * and storage.sh, which print a line a check; they are asserted here.
 */
function why(): string | undefined {
  if (process.arch !== "x64") return "the virtual machine is built for x86-64";
  if (!existsSync("/usr/bin/qemu-system-x86_64"))
    return "QEMU is not installed (Debian package qemu-system-x86)";
  if (!existsSync("/usr/sbin/debootstrap")) return "debootstrap is not installed";
  return undefined;
}
const missing = why();
if (missing) console.log(`skipped: cgroup v2 and systemd in a virtual machine: ${missing}`);

const packages =
  "systemd,systemd-sysv,dbus,linux-image-cloud-amd64,crun,runc,conmon,nftables,iproute2,busybox-static,tini,libseccomp2,procps,kmod,udev,criu,apparmor,e2fsprogs,xfsprogs,dmsetup";
const mirrorScript =
  "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -nE 's/^URIs: *([^ ]+).*/\\1/p; s/^deb (\\[[^]]*\\] )?([^ ]+).*/\\2/p' | head -1";
const scripts = ["inside.sh", "builds.sh", "storage.sh"];
const scratch = missing ? "" : mkdtempSync("/tmp/tug-vm-");
let output = "";

beforeAll(async () => {
  if (missing) return;
  const must = async (command: string[]) => {
    const result = await run(command, { timeout: 400_000, env: { DEBIAN_FRONTEND: "noninteractive" } });
    if (result.code !== 0)
      throw new Error(`${command.join(" ")}: ${(result.stdout + result.stderr).slice(-3000)}`);
    return result.stdout.trim();
  };
  const root = join(scratch, "root");
  const mirror = await must(["sh", "-c", mirrorScript]);
  const emulator = join(scratch, "emulator");
  mkdirSync(emulator);
  const brought = bringEmulator(emulator, scratch);
  await must([
    "debootstrap",
    "--variant=minbase",
    `--include=${packages}`,
    "bookworm",
    root,
    ...(mirror ? [mirror] : []),
  ]);
  rmSync(join(root, "etc/fstab"), { force: true });
  copyFileSync(tugBinary, join(root, "root/tug"));
  for (const script of scripts) copyFileSync(join(import.meta.dir, script), join(root, "root", script));
  const lacking = await brought;
  if (lacking) console.log(`skipped: builds for another platform: ${lacking}`);
  else for (const name of readdirSync(emulator)) copyFileSync(join(emulator, name), join(root, "root", name));
  // inside.sh says what it leaves out without one.
  const docker = Bun.which("docker");
  if (docker) copyFileSync(docker, join(root, "usr/local/bin/docker"));
  for (const name of ["tug", ...scripts]) chmodSync(join(root, "root", name), 0o755);
  writeFileSync(
    join(root, "root/busybox.tar"),
    Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout,
  );
  writeFileSync(
    join(root, "etc/systemd/system/inside.service"),
    "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\nExecStart=-/root/inside.sh\nExecStart=-/root/storage.sh\nExecStopPost=/bin/systemctl poweroff --force --force\n",
  );
  const wants = join(root, "etc/systemd/system/multi-user.target.wants");
  mkdirSync(wants, { recursive: true });
  symlinkSync("../inside.service", join(wants, "inside.service"));
  // A login prompt on the console would take it away from us.
  symlinkSync("/dev/null", join(root, "etc/systemd/system/serial-getty@ttyS0.service"));
  await must([
    "sh",
    "-c",
    `rm -rf ${root}/var/cache/apt/archives/*.deb ${root}/var/lib/apt/lists/* ${root}/usr/share/doc ${root}/usr/share/locale`,
  ]);
  const disk = join(scratch, "disk.img");
  await must(["mkfs.ext4", "-q", "-F", "-d", root, disk, "2G"]);
  const boot = readdirSync(join(root, "boot"));
  const file = (prefix: string) => join(root, "boot", boot.find((name) => name.startsWith(prefix)) ?? prefix);
  const machine = await run(
    [
      ...[
        "qemu-system-x86_64",
        "-m",
        "2048",
        "-smp",
        "2",
        "-nographic",
        "-no-reboot",
        "-cpu",
        "max",
        "-accel",
        "tcg",
        "-nic",
        "none",
      ],
      ...[
        "-kernel",
        file("vmlinuz"),
        "-initrd",
        file("initrd.img"),
        "-drive",
        `file=${disk},if=virtio,format=raw`,
      ],
      ...["-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0"],
    ],
    { timeout: 1_500_000 },
  );
  output = machine.stdout.replaceAll("\r", "");
}, 2_100_000);
afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true });
}, 120_000);

test.skipIf(missing !== undefined)("everything holds on cgroup v2 under systemd", () => {
  const lines = output.split("\n").filter((line) => /^(ok|FAIL) /.test(line));
  const failures = lines.filter((line) => line.startsWith("FAIL"));
  expect({ failures, tail: failures.length > 0 || lines.length < 20 ? output.slice(-4000) : "" }).toEqual({
    failures: [],
    tail: "",
  });
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(lines).toContain("ok devicemapper: no thin device is left");
});
