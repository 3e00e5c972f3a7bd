import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { freePort, TestRegistry } from "../harness/registry.ts";
import { tryFetch } from "../harness/web.ts";

/**
 * A real Debian with real services: `image bootstrap` makes it of Debian's packages, skopeo packs it anew and pushes it to Debian's
 * docker-registry on loopback, tug pulls it, and nginx and PostgreSQL inside it serve.
 */
const missing =
  TestRegistry.missing() ??
  (existsSync("/usr/sbin/debootstrap") ? undefined : "debootstrap is not installed");
if (missing) console.log(`skipped: a real Debian with nginx and PostgreSQL: ${missing}`);

let daemon: TestDaemon;
let registry: TestRegistry;
let image: string;
const scratch = missing ? "" : mkdtempSync("/tmp/tug-debian-");

/** The mirror this machine's own apt uses. */
const mirrorScript =
  "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -nE 's/^URIs: *([^ ]+).*/\\1/p; s/^deb (\\[[^]]*\\] )?([^ ]+).*/\\2/p' | head -1";

/** An older keyring of Debian's, whose keys sign nothing today. */
const oldKeys = "/usr/share/keyrings/debian-archive-removed-keys.gpg";
let mirror: readonly string[] = [];

beforeAll(async () => {
  if (missing) return;
  const url = (await run(["sh", "-c", mirrorScript])).stdout.trim();
  mirror = url ? ["--mirror", url] : [];
  [daemon, registry] = await Promise.all([TestDaemon.start({ busybox: false }), TestRegistry.start()]);
  const made = await daemon.ok(
    ["image", "bootstrap", ...mirror, "--include", "nginx-light,postgresql", "-t", "made", "debian:bookworm"],
    { timeout: 500_000 },
  );
  for (const step of ["release: Signature is valid", "packages: Extracting", "configuration: Configuring"])
    expect(made).toContain(step);
  // Packed and pushed by the judge's own tools, not by tug: what is pulled then was written by somebody else.
  await daemon.ok(["save", "-o", join(scratch, "made.tar"), "made"]);
  await registry.push(`docker-archive:${join(scratch, "made.tar")}`, "debian/services:bookworm");
  await daemon.ok(["rmi", "made"]);
  rmSync(join(scratch, "made.tar"));
  image = `${registry.address}/debian/services:bookworm`;
  const out = await daemon.ok(["pull", image], { timeout: 300_000 });
  expect(out).toContain(`Downloaded newer image for ${image}`);
}, 600_000);

afterAll(async () => {
  if (missing) return;
  await daemon?.close();
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

test.skipIf(missing !== undefined)(
  "it is Debian, with its owners, modes, links and setuid bits as debootstrap made them",
  async () => {
    const script =
      "cat /etc/debian_version; stat -c '%a %U:%G' /usr/bin/passwd /var/lib/postgresql /tmp /etc/shadow; readlink /bin; getcap /usr/bin/ping 2>/dev/null; dpkg --verify --verify-format rpm coreutils bash && echo verified";
    const out = await daemon.ok(["run", "--rm", image, "bash", "-c", script]);
    expect(out).toContain("4755 root:root\n755 postgres:postgres\n1777 root:root\n640 root:shadow\nusr/bin");
    expect(out).toContain("verified");
  },
);

test.skipIf(missing !== undefined)(
  "it has nothing of this host and of the day it was made, and configuring left no package half done",
  async () => {
    const script =
      "dpkg --audit; ls /etc/resolv.conf /etc/hostname /debootstrap /var/log/bootstrap.log 2>/dev/null; find /var/lib/apt/lists /var/cache/apt /tmp -mindepth 1; apt-get --version | head -1; grep -c ^deb /etc/apt/sources.list";
    // What Docker mounts over /etc is looked at from below.
    const lines = (await daemon.ok(["run", "--rm", "--network", "none", image, "bash", "-c", script])).split(
      "\n",
    );
    expect(lines.filter((line) => !/^\/etc\/(resolv.conf|hostname)$/.test(line))).toEqual([
      expect.stringContaining("apt 2"),
      "1",
    ]);
  },
);

test.skipIf(missing !== undefined || !existsSync(oldKeys))(
  "packages that are signed by other keys than the keyring's are refused",
  async () => {
    const refused = await daemon.tug(
      ["image", "bootstrap", ...mirror, "--keyring", oldKeys, "-t", "never", "debian:bookworm"],
      { timeout: 110_000 },
    );
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("the mirror's Release file is refused: Release signed by unknown key");
    expect(await daemon.ok(["images", "-q", "never"])).toBe("");
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "nginx serves through a published port",
  async () => {
    const port = freePort();
    await daemon.ok([
      "run",
      "-d",
      "--name",
      "nginx",
      "-p",
      `${port}:80`,
      image,
      "nginx",
      "-g",
      "daemon off;",
    ]);
    const page = () => tryFetch(`http://127.0.0.1:${port}/`);
    await eventually("nginx answers", async () => (await page()).includes("Welcome to nginx!"));
    await daemon.ok(["stop", "nginx"]);
    expect(await daemon.ok(["inspect", "-f", "{{.State.ExitCode}}", "nginx"])).toBe("0");
    await daemon.assertClean();
  },
  120_000,
);

test.skipIf(missing !== undefined)(
  "PostgreSQL keeps its data in a named volume through rm -f and a new container",
  async () => {
    const start = (name: string) =>
      daemon.ok([
        ...[
          "run",
          "-d",
          "--name",
          name,
          "-u",
          "postgres",
          "-v",
          "pgdata:/var/lib/postgresql",
          "--shm-size",
          "128m",
          image,
        ],
        ...[
          "/usr/lib/postgresql/15/bin/postgres",
          "-D",
          "/var/lib/postgresql/15/main",
          "-c",
          "config_file=/etc/postgresql/15/main/postgresql.conf",
          // Recovery would sync every file there is, which slow disks take minutes for; only processes die here.
          "-c",
          "fsync=off",
        ],
      ]);
    const sql = (name: string, text: string) =>
      daemon.ok(["exec", "-u", "postgres", name, "psql", "-tAc", text]);
    await start("db1");
    await eventually(
      "PostgreSQL is up",
      async () => (await daemon.tug(["exec", "-u", "postgres", "db1", "pg_isready"])).code === 0,
      30_000,
    );
    await sql("db1", "create table t as select generate_series(1, 10000) as n");
    await daemon.ok(["rm", "-f", "db1"]);
    await start("db2");
    await eventually(
      "PostgreSQL is up again",
      async () => (await daemon.tug(["exec", "-u", "postgres", "db2", "pg_isready"])).code === 0,
      30_000,
    );
    await eventually(
      "it has recovered",
      async () =>
        (await daemon.tug(["exec", "-u", "postgres", "db2", "psql", "-tAc", "select 1"])).code === 0,
      30_000,
    );
    expect(await sql("db2", "select count(*), sum(n) from t")).toBe("10000|50005000");
    await daemon.assertClean();
  },
  120_000,
);
