import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type RunOptions, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { RealDocker } from "../harness/real-docker.ts";
import { TestRegistry } from "../harness/registry.ts";
import { Terminal } from "../harness/terminal.ts";

let daemon: TestDaemon;
let folder: string;

beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterAll(() => daemon.close(), 120_000);
beforeEach(() => {
  folder = mkdtempSync("/tmp/tug-build-cli-");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const slow = 120_000;
const build = (args: readonly string[], options: RunOptions = {}) =>
  daemon.tug(["build", ...args], { cwd: folder, timeout: slow, ...options });

/** What the steps of a build printed. */
const said = (progress: string) => [...progress.matchAll(/^#\d+ \d+\.\d{3} (.*)$/gm)].map(([, text]) => text);

describe("tug build", () => {
  test(
    "builds what runs, names it, and tells its id in every way",
    async () => {
      write({
        Dockerfile: 'FROM busybox\nCOPY src /src\nCMD ["cat", "/src/file"]\n',
        "src/file": "from the context",
      });
      const built = await build([
        "-t",
        "app:1",
        "-t",
        "app:2",
        "--iidfile",
        "id",
        "--metadata-file",
        "meta",
        ".",
      ]);
      expect(built.code, built.stderr).toBe(0);
      expect(built.stdout).toBe("");
      expect(await daemon.ok(["run", "--rm", "app:1"])).toBe("from the context");
      const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "app:2"]);
      expect(readFileSync(join(folder, "id"), "utf8")).toBe(id);
      expect(JSON.parse(readFileSync(join(folder, "meta"), "utf8"))).toMatchObject({
        "containerimage.digest": expect.stringMatching(/^sha256:/),
        "buildx.build.ref": expect.stringMatching(/^default\/default\/[a-z0-9]{25}$/),
      });
      expect((await build(["-q", "."])).stdout).toBe(`${id}\n`);
    },
    slow,
  );

  test(
    "takes flags to the steps: arguments, secrets, hosts, limits, another Dockerfile, a stage and a context of another name",
    async () => {
      write({
        "docker/Web": [
          "FROM busybox AS wanted",
          "ARG FROM_ENV",
          "ARG GIVEN",
          "RUN --mount=type=secret,id=file --mount=type=secret,id=env,env=SECRET echo $FROM_ENV $GIVEN $(printf %s $SECRET | wc -c) $(wc -c < /run/secrets/file)",
          "RUN grep -w db /etc/hosts && ulimit -n && df -k /dev/shm | tail -1 | awk '{print $2}'",
          "RUN --network=none --mount=from=more,target=/more cat /more/file",
          "FROM wanted",
          "RUN false",
        ].join("\n"),
        "more/file": "more\n",
        key: "12345",
      });
      const built = await build(
        [
          ...[
            "-f",
            "docker/Web",
            "--target",
            "wanted",
            "--progress",
            "plain",
            "--build-context",
            "more=more",
          ],
          ...[
            "--build-arg",
            "FROM_ENV",
            "--build-arg",
            "GIVEN=given",
            "--ulimit",
            "nofile=512:512",
            "--shm-size",
            "1m",
          ],
          ...[
            "--secret",
            "id=file,src=key",
            "--secret",
            "id=env,env=LENT",
            "--add-host",
            "db:192.0.2.7",
            ".",
          ],
        ],
        { env: { FROM_ENV: "inherited", LENT: "1234567" } },
      );
      expect(built.code, built.stderr).toBe(0);
      expect(said(built.stderr)).toEqual([
        "inherited given 7 5",
        expect.stringMatching(/^192\.0\.2\.7\s+db$/),
        "512",
        "1024",
        "more",
      ]);
    },
    slow,
  );

  test(
    "takes a Dockerfile and a context from standard input, and leaves nothing of it",
    async () => {
      write({ Dockerfile: "FROM busybox\nCOPY file /\nRUN cat /file\n", file: "inside the tar" });
      const scratch = mkdtempSync("/tmp/tug-build-cli-tmp-");
      const env = { TMPDIR: scratch };
      const tar = Bun.spawnSync(["tar", "-C", folder, "-czf", "-", "."]).stdout;
      const fromTar = await build(["--progress", "plain", "-"], { input: tar, env });
      expect(said(fromTar.stderr)).toEqual(["inside the tar"]);
      const alone = await build(["--progress", "plain", "-"], {
        input: "FROM busybox\nRUN echo alone; ls /\n",
        env,
      });
      expect(said(alone.stderr)[0]).toBe("alone");
      const both = await build(["--progress", "plain", "-f", "-", "."], {
        input: "FROM busybox\nCOPY file /f\nRUN echo and; cat /f\n",
        env,
      });
      expect(said(both.stderr)).toEqual(["and", "inside the tar"]);
      expect(readdirSync(scratch)).toEqual([]);
      rmSync(scratch, { recursive: true });
    },
    slow,
  );

  test(
    "puts the result where it is asked to: a directory, standard output, archives, several at once, nowhere",
    async () => {
      write({ Dockerfile: "FROM scratch\nCOPY file /dir/file\n", file: "out", "out/mine": "stays" });
      const built = await build(["-o", "out", "."]);
      expect(built.code, built.stderr).toBe(0);
      expect(readFileSync(join(folder, "out/dir/file"), "utf8")).toBe("out");
      expect(readFileSync(join(folder, "out/mine"), "utf8")).toBe("stays");
      const names = (tar: string) => Bun.spawnSync(["tar", "-tf", join(folder, tar)]).stdout.toString();
      const piped = Bun.spawnSync(["sh", "-c", '"$0" build -o - . 2>/dev/null | tar -t', tugBinary], {
        cwd: folder,
        env: { ...process.env, DOCKER_HOST: daemon.host },
      });
      expect(piped.stdout.toString()).toContain("dir/file\n");
      const both = await build([
        "-t",
        "two:1",
        "-o",
        "type=oci,dest=o.tar",
        "-o",
        "type=docker,dest=d.tar",
        ".",
      ]);
      expect(both.code, both.stderr).toBe(0);
      expect(names("o.tar")).toContain("index.json");
      expect(names("d.tar")).toContain("manifest.json");
      expect((await daemon.tug(["inspect", "two:1"])).code).toBe(1);
      expect(await daemon.ok(["load", "-i", join(folder, "d.tar")])).toContain("two:1");
      await daemon.ok(["rmi", "two:1"]);
      const refused = await build(["-o", "type=tar,dest=no/such/x.tar", "."]);
      expect(refused.stderr.trimEnd().split("\n").at(-1)).toMatch(/^ERROR: .*no such file or directory/);
      expect((await build(["-t", "none:1", "-o", "type=cacheonly", "."])).code).toBe(0);
      expect((await daemon.tug(["inspect", "none:1"])).code).toBe(1);
      expect(readdirSync(folder).sort()).toEqual(["Dockerfile", "d.tar", "file", "o.tar", "out"]);
    },
    slow,
  );

  test(
    "shows why a step failed, where it stands, and what it said last",
    async () => {
      write({ Dockerfile: "FROM busybox as base\n\nRUN echo tried; exit 7\n" });
      const built = await build(["--iidfile", "id", "."]);
      expect(built.code).toBe(1);
      expect(existsSync(join(folder, "id"))).toBe(false);
      const end = built.stderr.slice(built.stderr.indexOf("------\n"));
      expect(end.replace(/^\d+\.\d{3} /m, "T ")).toBe(
        [
          "------",
          " > [2/2] RUN echo tried; exit 7:",
          "T tried",
          "------",
          "",
          " 1 warning found (use tug --debug to expand):",
          " - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
          "Dockerfile:3",
          "--------------------",
          "   1 |     FROM busybox as base",
          "   2 |     ",
          "   3 | >>> RUN echo tried; exit 7",
          "   4 |     ",
          "--------------------",
          'ERROR: failed to build: failed to solve: process "/bin/sh -c echo tried; exit 7" did not complete successfully: exit code: 7',
          "",
        ].join("\n"),
      );
    },
    slow,
  );

  test(
    "answers for mistakes in Docker's words",
    async () => {
      const error = async (...args: string[]) => (await build(args)).stderr.trimEnd().split("\n").at(-1);
      expect(await error("nowhere")).toBe(
        'ERROR: failed to build: unable to prepare context: path "nowhere" not found',
      );
      expect(await error(".")).toBe(
        "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
      );
      expect((await build(["--nope", "."])).code).toBe(125);
      expect((await build([])).stderr).toStartWith("tug: 'tug build' requires 1 argument\n");
      write({ Dockerfile: "FROM scratch\nRNU x\n" });
      expect(await error(".")).toEndWith("unknown instruction: RNU (did you mean RUN?)");
    },
    slow,
  );

  test(
    "checks, outlines and lists without building",
    async () => {
      write({ Dockerfile: "# Base of it all\nFROM busybox as base\nARG X=1\nRUN false\n" });
      const checked = await build(["--check", "."]);
      expect(checked.code).toBe(1);
      expect(checked.stdout).toStartWith(
        "Check complete, 1 warning has been found!\n\nWARNING: FromAsCasing",
      );
      const targets = await build(["--call", "targets,format=json", "."]);
      expect(JSON.parse(targets.stdout)).toMatchObject({ targets: [{ name: "base", default: true }] });
      expect((await build(["--call", "outline", "."])).stdout).toMatch(/X\s+1/);
    },
    slow,
  );
});

describe("on a terminal", () => {
  test(
    "a picture of the build goes over itself; Ctrl-C ends it at once and leaves nothing",
    async () => {
      write({ Dockerfile: "FROM busybox\nRUN --network=none echo 日本語; sleep 1000\n" });
      const env = { DOCKER_HOST: daemon.host, NO_COLOR: "1" };
      const terminal = await Terminal.open([tugBinary, "build", folder], env, { rows: 10, columns: 50 });
      try {
        await terminal.until(" => => # 日本語", slow);
        terminal.resize({ rows: 10, columns: 30 });
        await terminal.until("# 日本語\n\x1b[0J\x1b[?25h\x1b[?25l\x1b[", slow); // drawn once more
        terminal.type("\x03");
        await terminal.until("ERROR: failed to build: failed to solve: Canceled: context canceled\n", slow);
        expect(await terminal.exited).toBe(130);
        expect(terminal.text).toContain("CANCELED [2/2]");
        expect(terminal.text).toContain("\x1b[?25h"); // the cursor is back
      } finally {
        terminal.close();
      }
      await daemon.assertClean();
    },
    2 * slow,
  );
});

describe("the build cache", () => {
  test(
    "is shown, and removed as filters and bounds say",
    async () => {
      write({ Dockerfile: "FROM busybox\nRUN echo cached > /file\n" });
      await build(["-q", "."]);
      const usage = await daemon.ok(["builder", "du"]);
      expect(usage).toMatch(/^ID\s+RECLAIMABLE\s+SIZE\s+LAST ACCESSED\n/);
      expect(usage).toMatch(/\nTotal: .*B$/);
      expect(await daemon.ok(["buildx", "du", "--format", "{{json .Type}}"])).toContain('"regular"');
      const rows = (text: string) => text.split("\n").filter((line) => /^\w{20,}/.test(line)).length;
      await daemon.ok(["builder", "prune", "-f", "--filter", "until=24h"]);
      expect(rows(await daemon.ok(["builder", "du"]))).toBe(rows(usage));
      const pruned = await daemon.tug(["builder", "prune", "-af"]);
      expect(pruned.stdout).toMatch(/^Total:\t/m);
      expect(rows(await daemon.ok(["builder", "du"]))).toBe(0);
      expect(await daemon.ok(["system", "df"])).toMatch(/^Build Cache\s+0\s/m);
    },
    slow,
  );

  test("the one builder is described", async () => {
    expect(await daemon.ok(["buildx", "ls"])).toMatch(/\ndefault\*.*\n \\_ default .*running/);
    expect(await daemon.ok(["buildx", "inspect"])).toMatch(/^Name:\s+default\nDriver:\s+docker\n/);
    expect((await daemon.tug(["buildx", "inspect", "other"])).stderr).toContain('no builder "other" found');
    expect(await daemon.ok(["buildx", "version"])).toStartWith("tug ");
  });
});

describe("registries", () => {
  const missing = TestRegistry.missing();
  if (missing) console.log(`no build from private registries is tested: ${missing}`);

  test.skipIf(missing !== undefined)(
    "a private base comes with the user's own credentials, and a push goes with them",
    async () => {
      const registry = await TestRegistry.start({ users: { anna: "secret" } });
      try {
        const config = join(folder, "config");
        const env = { DOCKER_CONFIG: config };
        await daemon.ok(["tag", "busybox", `${registry.address}/base`]);
        await daemon.ok(["login", "-u", "anna", "--password-stdin", registry.address], {
          input: "secret",
          env,
        });
        await daemon.ok(["push", "-q", `${registry.address}/base`], { env });
        await daemon.ok(["rmi", `${registry.address}/base`]);
        write({ Dockerfile: `FROM ${registry.address}/base\nRUN echo mine > /mine\n` });
        const refused = await build(["-q", "--pull", "."]);
        expect(refused.code, refused.stderr).toBe(1);
        const name = `${registry.address}/mine:1`;
        const built = await build(["--pull", "--push", "-t", name, "."], { env });
        expect(built.code, built.stderr).toBe(0);
        await daemon.tug(["rmi", "-f", name]);
        expect(
          await daemon.ok(["run", "--rm", "--pull", "always", "-q", name, "cat", "/mine"], { env }),
        ).toBe("mine");
      } finally {
        await registry.close();
      }
    },
    2 * slow,
  );
});

describe("Docker's own daemon", () => {
  const missing = RealDocker.missing();
  if (missing) console.log(`no build by Docker's daemon is tested: ${missing}`);

  test.skipIf(missing !== undefined)(
    "builds for tug as for its own client",
    async () => {
      const docker = await RealDocker.start();
      try {
        const env = { DOCKER_HOST: docker.host };
        write({ Dockerfile: "FROM busybox\nCOPY file /\nRUN cat /file\n", file: "told dockerd" });
        const built = await build(["--progress", "plain", "-t", "app", "."], { env });
        expect(built.code, built.stderr).toBe(0);
        expect(said(built.stderr)).toEqual(["told dockerd"]);
        expect(await docker.ok(["run", "--rm", "--network", "none", "app", "cat", "/file"])).toBe(
          "told dockerd",
        );
        const out = await build(["-o", "out", "."], { env });
        expect(out.code, out.stderr).toBe(0);
        expect(readFileSync(join(folder, "out/file"), "utf8")).toBe("told dockerd");
        write({ Dockerfile: "FROM busybox\nRUN echo last words; false\n" });
        const failed = await build(["."], { env });
        expect(failed.code).toBe(1);
        expect(failed.stderr).toMatch(/------\n > \[2\/2\] RUN .*:\n\d+\.\d{3} last words\n------\n/);
        expect((await daemon.tug(["builder", "prune", "-af"], { env })).stdout).toMatch(/^Total:\t/m);
      } finally {
        await docker.close();
      }
    },
    3 * slow,
  );
});
