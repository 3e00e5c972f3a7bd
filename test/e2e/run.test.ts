import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { Terminal } from "../harness/terminal.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

describe("tug run", () => {
  test("prints what the container prints, each stream on its own", async () => {
    const result = await daemon.tug(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    expect(result).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("ends with the container's exit code", async () => {
    expect((await daemon.tug(["run", "--rm", "busybox", "sh", "-c", "exit 42"])).code).toBe(42);
    expect(
      (await daemon.tug(["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"])).code,
    ).toBe(137);
  });

  test("pipes standard input and sees its end", async () => {
    const result = await daemon.tug(["run", "--rm", "-i", "busybox", "cat"], { input: "one\ntwo\n" });
    expect(result).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
  });

  test("carries 20 MB through standard input and output unharmed", async () => {
    const bytes = Buffer.alloc(20_000_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
    const result = await daemon.tug(["run", "--rm", "-i", "busybox", "sha256sum"], { input: bytes });
    expect(result.stdout.split(" ")[0]).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
    const back = await daemon.tug(["run", "--rm", "-i", "busybox", "sh", "-c", "cat | base64 | sha256sum"], {
      input: bytes,
    });
    expect(back.code).toBe(0);
  });

  test("a fast writer's last bytes are never lost", async () => {
    for (let i = 0; i < 5; i++) {
      const result = await daemon.tug(["run", "--rm", "busybox", "seq", "1", "20000"]);
      expect(result.stdout.split("\n").length).toBe(20001);
      expect(result.stdout.endsWith("\n20000\n")).toBe(true);
    }
  });

  test("-d prints the id and the container goes on", async () => {
    const id = await daemon.ok(["run", "-d", "--name", "sleeper", "busybox", "sleep", "1000"]);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await daemon.ok(["ps", "-q", "--no-trunc"])).toBe(id);
    expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.Name}}", id.slice(0, 12)])).toBe(
      "running /sleeper",
    );
  });

  test("environment: -e, -e NAME from the caller, --env-file, and what the image says", async () => {
    const file = join(daemon.root, "env");
    writeFileSync(file, "# a comment\nFROM_FILE=yes and more\nCALLER\n");
    const out = await daemon.ok(
      ["run", "--rm", "-e", "A=1", "-e", "TAKEN", "--env-file", file, "busybox", "env"],
      { env: { TAKEN: "from caller", CALLER: "x" } },
    );
    const lines = out.split("\n");
    for (const line of ["A=1", "TAKEN=from caller", "FROM_FILE=yes and more", "CALLER=x"])
      expect(lines).toContain(line);
    expect(lines.some((line) => line.startsWith("PATH=/usr/local/sbin"))).toBe(true);
    expect(lines).toContain("HOME=/root");
    expect(lines.some((line) => /^HOSTNAME=[0-9a-f]{12}$/.test(line))).toBe(true);
  });

  test("-w makes the working directory, -h sets the host name, --entrypoint replaces it", async () => {
    expect(await daemon.ok(["run", "--rm", "-w", "/made/here", "busybox", "pwd"])).toBe("/made/here");
    await daemon.ok(["run", "--name", "linked", "busybox", "ln", "-s", "/nowhere/deep", "/dangling"]);
    await daemon.ok(["commit", "linked", "linked"]);
    const inLinked = (cwd: string) => daemon.ok(["run", "--rm", "-w", cwd, "linked", "pwd"]);
    expect(await inLinked("/dangling")).toBe("/nowhere/deep");
    expect(await inLinked("/dangling/sub")).toBe("/nowhere/deep/sub");
    await daemon.ok(["rm", "linked"]);
    await daemon.ok(["rmi", "linked"]);
    expect(await daemon.ok(["run", "--rm", "-h", "box.example", "busybox", "hostname"])).toBe("box.example");
    expect(await daemon.ok(["run", "--rm", "--entrypoint", "echo", "busybox", "given"])).toBe("given");
  });

  test("-u takes a name, a number, and name:group", async () => {
    expect(await daemon.ok(["run", "--rm", "-u", "daemon", "busybox", "id"])).toBe(
      "uid=1(daemon) gid=1(daemon) groups=1(daemon)",
    );
    expect(await daemon.ok(["run", "--rm", "-u", "1234:33", "busybox", "sh", "-c", "id -u; id -g"])).toBe(
      "1234\n33",
    );
    const unknown = await daemon.tug(["run", "--rm", "-u", "nosuch", "busybox", "id"]);
    expect(unknown.stderr).toContain("unable to find user nosuch: no matching entries in passwd file");
    expect([125, 126]).toContain(unknown.code);
  });

  test("--init reaps orphans and forwards signals", async () => {
    await daemon.ok([
      "run",
      "-d",
      "--init",
      "--name",
      "reaper",
      "busybox",
      "sh",
      "-c",
      "(sleep 0.1 &) ; exec sleep 1000",
    ]);
    // A started container's init becomes the program a moment later.
    await eventually("it runs", async () => {
      return /^(docker-init|tini|catatonit)$/.test(
        await daemon.ok(["exec", "reaper", "cat", "/proc/1/comm"]),
      );
    });
    // However slow the machine is: SIGKILL, which comes a minute later, would make it 137.
    await daemon.ok(["stop", "-t", "60", "reaper"], { timeout: 90_000 });
    expect(await daemon.ok(["inspect", "-f", "{{.State.ExitCode}}", "reaper"])).toBe("143");
  });

  test("--read-only refuses writes to the root but not to --tmpfs", async () => {
    const script = "touch /x; touch /scratch/y && echo fine";
    const result = await daemon.tug([
      "run",
      "--rm",
      "--read-only",
      "--tmpfs",
      "/scratch:size=1m",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(result.stderr).toContain("Read-only file system");
    expect(result.stdout).toBe("fine\n");
  });

  test("memory, cpu and pids limits are what the kernel enforces", async () => {
    await daemon.ok([
      "run",
      "-d",
      "--name",
      "limited",
      "-m",
      "64m",
      "--cpus",
      "0.5",
      "--pids-limit",
      "20",
      "busybox",
      "sleep",
      "1000",
    ]);
    const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "limited"]);
    const files = ["memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "pids/pids.max"].map((file) => {
      const [controller, name] = file.split("/");
      return `/sys/fs/cgroup/${controller}/${daemon.instance}/${id}/${name}`;
    });
    if (existsSync(files[0] ?? "")) {
      expect(files.map((file) => readFileSync(file, "utf8").trim())).toEqual(["67108864", "50000", "20"]);
    } else {
      const v2 = (name: string) =>
        readFileSync(`/sys/fs/cgroup/${daemon.instance}/${id}/${name}`, "utf8").trim();
      expect([v2("memory.max"), v2("cpu.max"), v2("pids.max")]).toEqual(["67108864", "50000 100000", "20"]);
    }
  });

  test("the kernel's OOM kill is reported", async () => {
    const result = await daemon.tug([
      "run",
      "--name",
      "greedy",
      "-m",
      "16m",
      "--memory-swap",
      "16m",
      "busybox",
      "sh",
      "-c",
      "tail /dev/zero",
    ]);
    expect(result.code).not.toBe(0);
    expect(await daemon.ok(["inspect", "-f", "{{.State.OOMKilled}}", "greedy"])).toBe("true");
  });

  test("--rm leaves neither container nor anonymous volume", async () => {
    await daemon.ok(["run", "--rm", "-v", "/data", "busybox", "touch", "/data/x"]);
    expect(await daemon.ok(["ps", "-aq"])).toBe("");
    expect(await daemon.ok(["volume", "ls", "-q"])).toBe("");
  });

  test("-t gives a terminal, with the size of ours", async () => {
    const terminal = await Terminal.open(
      [tugBinary, "run", "--rm", "-it", "busybox", "sh", "-c", "tty; stty size; test -t 0 && echo yes"],
      { DOCKER_HOST: daemon.host },
      { rows: 33, columns: 91 },
    );
    try {
      expect(await terminal.exited).toBe(0);
      await terminal.until("yes");
      expect(terminal.text).toContain("/dev/pts/0");
      expect(terminal.text).toContain("33 91");
    } finally {
      terminal.close();
    }
  });
});

describe("tug run with bad input", () => {
  const refused = async (args: string[], code: number, text: string) => {
    const result = await daemon.tug(args);
    expect({ code: result.code, has: result.stderr.includes(text), stderr: result.stderr }).toEqual({
      code,
      has: true,
      stderr: result.stderr,
    });
    expect(await daemon.ok(["ps", "-aq"])).toBe("");
  };

  test("a command that does not exist: 127 and Docker's text", () =>
    refused(
      ["run", "--rm", "busybox", "nosuchcommand"],
      127,
      'exec: "nosuchcommand": executable file not found in $PATH',
    ));
  test("a command that cannot be executed: 126", () =>
    refused(["run", "--rm", "busybox", "/etc/passwd"], 126, "permission denied"));
  test("a directory as the command: 126", () => refused(["run", "--rm", "busybox", "/etc"], 126, "/etc"));
  test("an unknown image: 125", () =>
    refused(
      ["run", "--rm", "localhost:1/nosuch", "true"],
      125,
      "Unable to find image 'localhost:1/nosuch:latest' locally",
    ));
  test("an invalid reference: 125", () =>
    refused(["run", "--rm", "In:valid:Ref", "true"], 125, "invalid reference format"));
  test("an unknown flag: 125", () => refused(["run", "--nosuch", "busybox"], 125, "unknown flag: --nosuch"));
  test("no image: the usage and a non-zero exit", async () => {
    const result = await daemon.tug(["run"]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("requires at least 1 argument");
  });
  test("a bad memory size: 125", () =>
    refused(["run", "--rm", "-m", "1k", "busybox"], 125, "Minimum memory limit allowed is 6MB"));
  test("a bad port: 125", () => refused(["run", "--rm", "-p", "99999:80", "busybox"], 125, "99999"));
  test("an unknown capability: 125", () =>
    refused(["run", "--rm", "--cap-add", "NOPE", "busybox"], 125, "CAP_NOPE"));
  test("an unknown network: 125", () =>
    refused(["run", "--rm", "--network", "nosuch", "busybox"], 125, "network nosuch not found"));
  test("a relative bind path: 125", () => refused(["run", "--rm", "-v", "x/y:/z", "busybox"], 125, "x/y"));
  test("--mount with a missing source: 125", () =>
    refused(
      ["run", "--rm", "--mount", "type=bind,src=/no/such/dir,dst=/z", "busybox"],
      125,
      "bind source path does not exist: /no/such/dir",
    ));
  test("a user id out of range", () =>
    refused(
      ["run", "--rm", "-u", "4294967296", "busybox"],
      125,
      "uids and gids must be in range 0-2147483647",
    ));

  test("run -d that cannot start tells its container's id, so that a script can remove it", async () => {
    const result = await daemon.tug(["run", "-d", "--name", "unstartable", "busybox", "no-such-program"]);
    expect(result.code).toBe(127);
    expect(result.stderr).toContain('exec: "no-such-program": executable file not found in $PATH');
    const id = await daemon.ok(["inspect", "-f", "{{.Id}}", "unstartable"]);
    expect(result.stdout).toBe(`${id}\n`);
    await daemon.ok(["rm", id]);
  });

  test("a name in use: 125, Docker's text, and the first container unharmed", async () => {
    const id = await daemon.ok(["run", "-d", "--name", "taken", "busybox", "sleep", "1000"]);
    const result = await daemon.tug(["run", "--name", "taken", "busybox", "true"]);
    expect(result.code).toBe(125);
    expect(result.stderr).toContain(
      `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
    expect(await daemon.ok(["ps", "-q", "--no-trunc"])).toBe(id);
  });

  test("malformed JSON, a wrong content type and an unknown path answer as Docker does", async () => {
    const send = (body: string, type = "application/json") =>
      fetch("http://tug/v1.43/containers/create", {
        unix: daemon.socket,
        method: "POST",
        body,
        headers: { "content-type": type },
      });
    for (const body of ["{", "[]", '{"Image": 3}', '{"Image":"busybox"} trailing']) {
      const response = await send(body);
      expect(response.status).toBe(400);
      expect(Object.keys((await response.json()) as object)).toEqual(["message"]);
    }
    expect((await send("{}", "text/plain")).status).toBe(400);
    expect(await daemon.api("GET", "/v1.43/nosuch")).toEqual({
      status: 404,
      body: { message: "page not found" },
    });
    expect((await daemon.api("GET", "/v1.12/info")).status).toBe(400);
    expect((await daemon.api("GET", "/v1.43/containers/nosuch/json")).body).toEqual({
      message: "No such container: nosuch",
    });
  });
});
