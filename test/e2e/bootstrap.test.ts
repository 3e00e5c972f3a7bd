import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

/**
 * `image bootstrap` with a debootstrap of the test's own, which unpacks busybox: what it may do, how it is stopped, what becomes of
 * what it says. test/e2e/debian.test.ts makes a whole Debian with the real one.
 */
const missing = existsSync("/usr/share/debootstrap/scripts/sid") ? undefined : "debootstrap is not installed";
if (missing) console.log(`skipped: image bootstrap: ${missing}`);

const scratch = mkdtempSync("/tmp/tug-bootstrap-");
let daemon: TestDaemon;

/** Speaks as debootstrap --debian-installer does; the mirror's last part says what it is to do. */
const program = `#!/bin/sh
say() { echo "$1" >&3; }
for word; do
  case $word in --cache-dir=*) cache=\${word#*=};; */root) root=$word;; http*) what=\${word##*/};; esac
done
echo "$@" > $cache/arguments
say "P: 0 10 DOWNREL"; say "PF: Downloading Release file"
case $what in
  forged) say "E: BADRELSIG"; say "EA: ABCD"; say "EF: Invalid Release signature (key id %s)"; exit 1;;
  slow) touch $cache/reached; sleep 600; exit 1;;
esac
tar -xf ${scratch}/busybox.tar -C $root
mkdir -p $root/debootstrap $root/proc $root/dev $root/etc $root/var/log $root/var/lib/apt/lists
date > $root/var/log/bootstrap.log; date > $root/etc/machine-id; date > $root/etc/resolv.conf; date > $root/var/lib/apt/lists/a
echo "root:*:$(($(date +%s) / 86400)):0:99999:7:::" > $root/etc/shadow
echo kept > $cache/a.deb
for path in ${scratch}/outside /etc/outside; do echo x 2>/dev/null > $path && echo "wrote $path" >> $root/escaped; done
cp ${scratch}/second $root/debootstrap/debootstrap
exit 0
`;
const second = `#!/bin/sh
echo "P: 1 2 INSTCORE" >&3
{
  grep CapEff /proc/self/status
  ls /sys/class/net 2>/dev/null || echo "no sysfs"
  cat /proc/net/dev | wc -l
  mknod /disk b 8 0 2>/dev/null && echo "made a device"
  mount -t tmpfs none /tmp 2>/dev/null && echo "mounted"
  echo c 2>/dev/null > /proc/sysrq-trigger && echo "wrote to proc"
  ls -d /tmp/tug-* 2>/dev/null
} > /confinement
exit 0
`;

beforeAll(async () => {
  if (missing) return;
  const bin = join(scratch, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "debootstrap"), program);
  writeFileSync(join(scratch, "second"), second);
  for (const path of [join(bin, "debootstrap"), join(scratch, "second")]) chmodSync(path, 0o755);
  const busybox = Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
  writeFileSync(join(scratch, "busybox.tar"), busybox);
  const launcher = ["env", `PATH=${bin}:${process.env["PATH"] ?? ""}`];
  daemon = await TestDaemon.start({ busybox: false, launcher });
}, 120_000);

afterAll(async () => {
  await daemon?.close();
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

const bootstrap = (mirror: string, ...flags: string[]) =>
  daemon.tug([
    "image",
    "bootstrap",
    "--keyring",
    "/dev/null",
    "--mirror",
    `http://mirror.invalid/${mirror}`,
    ...flags,
    "debian:sid",
  ]);
const runs = () => readdirSync(join(daemon.dataRoot, "bootstrap")).filter((name) => name.startsWith("run-"));

test.skipIf(missing !== undefined)(
  "the same packages give the same image, configured as the distributors' own",
  async () => {
    const first = await bootstrap("good");
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain("release: Retrieving\n");
    expect(first.stdout).toContain("system: Unpacking the core\n");
    expect(first.stdout).toContain("Status: Bootstrapped debian:sid\n");
    const id = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "debian:sid"]);
    const again = await bootstrap("good", "-q", "-t", "other:1");
    expect(again).toMatchObject({ code: 0, stdout: `${id}\n` });
    const inspected = await daemon.ok(["image", "inspect", "-f", "{{json .Config}}", "other:1"]);
    expect(JSON.parse(inspected)).toMatchObject({
      Cmd: ["bash"],
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Labels: { "org.opencontainers.image.title": "debian" },
    });
    const look =
      "ls /etc/machine-id /var/log /var/lib/apt/lists /debootstrap 2>&1; wc -c < /etc/machine-id; cut -d: -f3 /etc/shadow";
    const files = await daemon.ok(["run", "--rm", "--network", "none", "debian:sid", "sh", "-c", look]);
    expect(files).not.toContain("bootstrap.log");
    expect(files).toContain("/debootstrap: No such file");
    expect(Number(files.split("\n").at(-1))).toBeLessThan(Math.floor(Date.now() / 86_400_000));
    const dated = await daemon.tug(["image", "bootstrap", "--no-check-sig", "-t", "dated", "debian:sid"], {
      env: { SOURCE_DATE_EPOCH: "1000000000" },
    });
    expect(dated.code).toBe(0);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Created}}", "dated"])).toBe("2001-09-09T01:46:40Z");
    expect(runs()).toEqual([]);
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "neither stage reaches this host: the first reads it only, the second sees nothing of it",
  async () => {
    expect(await bootstrap("good")).toMatchObject({ code: 0 });
    const found = await daemon.ok([
      "run",
      "--rm",
      "--network",
      "none",
      "debian:sid",
      "sh",
      "-c",
      "cat /confinement; cat /escaped 2>/dev/null; true",
    ]);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETFCAP; two lines of heading and lo.
    expect(found).toBe("CapEff:\t00000000800000fb\nno sysfs\n3");
    expect(existsSync(join(scratch, "outside"))).toBe(false);
    expect(existsSync("/etc/outside")).toBe(false);
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "a mirror whose signature is wrong, and words that name nothing, are refused with what to do",
  async () => {
    const forged = await bootstrap("forged");
    expect(forged.code).toBe(1);
    expect(forged.stderr).toContain(
      "the mirror's Release file is refused: Invalid Release signature (key id ABCD)",
    );
    for (const [args, complaint] of [
      [["debian:bookwrom"], "did you mean bookworm?"],
      [["debain:sid"], "did you mean debian?"],
      [["debian:sid", "--mirror", "http://a/$(id)"], "invalid mirror"],
      [["debian:sid", "--include", "a b"], "invalid package name"],
      [["debian:sid", "--variant", "tiny"], "must be one of minbase, buildd, standard"],
      [["debian:sid", "--platform", "linux/sparc"], "no packages for platform"],
      [["../etc:sid"], "invalid name"],
    ] as const) {
      const refused = await daemon.tug(["image", "bootstrap", ...args]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(complaint);
    }
    expect(runs()).toEqual([]);
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "each distribution has its mirror, its keyring and its script, also a suite that is newer than debootstrap",
  async () => {
    const tail = "-archive-keyring.gpg): install the package ";
    for (const [image, complaint] of [
      [
        "ubuntu:jammy",
        `of ubuntu jammy is not on the daemon's host (/usr/share/keyrings/ubuntu${tail}ubuntu-keyring`,
      ],
      [
        "ubuntu:noble",
        `of ubuntu noble is not on the daemon's host (/usr/share/keyrings/ubuntu${tail}ubuntu-keyring`,
      ],
      ["kali:kali-rolling", `(/usr/share/keyrings/kali${tail}kali-archive-keyring`],
      ["devuan:daedalus", `(/usr/share/keyrings/devuan${tail}devuan-keyring`],
      ["pureos:byzantium", `(/usr/share/keyrings/pureos${tail}pureos-archive-keyring`],
    ] as const) {
      const keyring = /\((\/\S+)\)/.exec(complaint)?.[1] ?? "";
      if (existsSync(keyring)) {
        console.log(`skipped: ${image} without its keyring: ${keyring} is on this host`);
        continue;
      }
      const refused = await daemon.tug(["image", "bootstrap", image]);
      expect(refused.stderr).toContain(complaint);
      expect([image, refused.code]).toEqual([image, 1]);
    }
    writeFileSync(join(scratch, "keyring"), "keys");
    for (const [image, words] of [
      ["ubuntu:jammy", / jammy \S+\/root$/],
      ["ubuntu:noble", / noble \S+\/root http:\/\/(archive|ports)\.ubuntu\.com\/ubuntu(-ports)?( gutsy)?$/],
      ["debian:trixie", / trixie \S+\/root( http:\/\/deb\.debian\.org\/debian sid)?$/],
      ["debian:sid", / sid \S+\/root$/],
      ["kali:kali-rolling", / kali-rolling \S+\/root$/],
      ["devuan:daedalus", / daedalus \S+\/root http:\/\/deb\.devuan\.org\/merged( ceres)?$/],
    ] as const) {
      const [distribution = ""] = image.split(":");
      const made = await daemon.tug([
        "image",
        "bootstrap",
        "-q",
        "--keyring",
        join(scratch, "keyring"),
        "-t",
        "made:1",
        image,
      ]);
      expect([image, made.code, made.stderr]).toEqual([image, 0, ""]);
      const cache = join(daemon.dataRoot, "bootstrap/cache", distribution);
      const said = readFileSync(join(cache, "arguments"), "utf8").trim();
      expect(said).toMatch(words);
      expect(said).toContain("--force-check-gpg --keyring=");
    }
    await daemon.ok(["rmi", "made:1"]);
    expect(runs()).toEqual([]);
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "Ctrl-C ends it at once and leaves nothing, and so does the daemon's death",
  async () => {
    const reached = join(daemon.dataRoot, "bootstrap/cache/debian/reached");
    const start = () => {
      rmSync(reached, { force: true });
      return Bun.spawn(
        [
          tugBinary,
          "image",
          "bootstrap",
          "--no-check-sig",
          "--mirror",
          "http://mirror.invalid/slow",
          "debian:sid",
        ],
        { stdout: "ignore", stderr: "ignore", env: { ...process.env, DOCKER_HOST: daemon.host } },
      );
    };
    const running = () => processes().filter((one) => one.command.includes(`${daemon.root}/data/bootstrap`));
    const client = start();
    await eventually("it runs", () => existsSync(reached), 30_000);
    client.kill("SIGINT");
    await client.exited;
    await eventually("everything is gone", () => runs().length === 0 && running().length === 0, 30_000);
    const other = start();
    await eventually("it runs", () => existsSync(reached), 30_000);
    await daemon.crash();
    await other.exited;
    await eventually("its processes end with the daemon", () => running().length === 0, 30_000);
    await daemon.up();
    expect(runs()).toEqual([]);
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "the packages that are kept are counted by system df and go with image prune -a",
  async () => {
    const size = async () => (await daemon.api("GET", "/v1.51/system/df")).body as { LayersSize: number };
    const kept = join(daemon.dataRoot, "bootstrap/cache/debian/a.deb");
    expect(existsSync(kept)).toBe(true);
    expect((await size()).LayersSize).toBeGreaterThan(0);
    await daemon.ok(["image", "prune", "-a", "-f"]);
    expect(existsSync(kept)).toBe(false);
    expect((await size()).LayersSize).toBe(0);
  },
  120_000,
);
