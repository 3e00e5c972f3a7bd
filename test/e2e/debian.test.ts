import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { freePort, TestRegistry } from "../harness/registry.ts";

/**
 * A real Debian with real services: debootstrap makes the root file system, skopeo packs and pushes it to Debian's
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

beforeAll(async () => {
  if (missing) return;
  const must = async (command: string[]) => {
    const result = await run(command, { timeout: 400_000, env: { DEBIAN_FRONTEND: "noninteractive" } });
    if (result.code !== 0)
      throw new Error(`${command.join(" ")}: ${result.stdout.slice(-2000)}${result.stderr.slice(-2000)}`);
    return result.stdout.trim();
  };
  const root = join(scratch, "root");
  const mirror = await must(["sh", "-c", mirrorScript]);
  await must([
    "debootstrap",
    "--variant=minbase",
    "--include=nginx-light,postgresql",
    "bookworm",
    root,
    ...(mirror ? [mirror] : []),
  ]);
  await must([
    "sh",
    "-c",
    `rm -rf ${root}/var/cache/apt/archives/*.deb ${root}/var/lib/apt/lists/* ${root}/usr/share/doc ${root}/usr/share/locale ${root}/usr/share/man`,
  ]);
  [daemon, registry] = await Promise.all([TestDaemon.start({ busybox: false }), TestRegistry.start()]);
  // Packed by the judge's own tools into an OCI layout, not by tug: what is pulled was made by somebody else.
  await must(["tar", "--numeric-owner", "--xattrs", "-C", root, "-cf", join(scratch, "layer.tar"), "."]);
  rmSync(root, { recursive: true, force: true });
  const build = await import("../harness/oci-layout.ts");
  await build.writeOciLayout(join(scratch, "oci"), "debian", join(scratch, "layer.tar"), {
    Cmd: ["bash"],
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  });
  rmSync(join(scratch, "layer.tar"));
  await registry.push(`oci:${join(scratch, "oci")}:debian`, "debian/services:bookworm");
  image = `${registry.address}/debian/services:bookworm`;
  const out = await daemon.ok(["pull", image], { timeout: 300_000 });
  expect(out).toContain(`Downloaded newer image for ${image}`);
}, 600_000);

afterAll(async () => {
  if (missing) return;
  await daemon?.close();
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
}, 60_000);

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
    await eventually(
      "nginx answers",
      async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok === true,
    );
    const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
    expect(page).toContain("Welcome to nginx!");
    await daemon.ok(["stop", "nginx"]);
    expect(await daemon.ok(["inspect", "-f", "{{.State.ExitCode}}", "nginx"])).toBe("0");
    await daemon.assertClean();
  },
  60_000,
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
