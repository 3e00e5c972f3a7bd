import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually, type RunOptions, run, TestDaemon } from "../harness/daemon.ts";
import { freePort } from "../harness/registry.ts";
import { Terminal } from "../harness/terminal.ts";

/** The docker CLI, unchanged, of every version this machine has: Debian's 20.10 and, where installed, a newer one. */
const clients = ["/usr/bin/docker", "/usr/local/bin/docker"];
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 180_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

for (const client of clients) {
  const absent = !existsSync(client);
  if (absent) console.log(`skipped: the docker CLI at ${client}: it is not installed`);
  describe.skipIf(absent)(`the docker CLI at ${client}`, () => {
    const docker = (args: string[], options: RunOptions = {}) =>
      run([client, ...args], { ...options, env: { DOCKER_HOST: daemon.host, ...options.env } });
    const ok = async (args: string[], options: RunOptions = {}) => {
      const result = await docker(args, options);
      if (result.code !== 0)
        throw new Error(
          `docker ${args.join(" ")}: ${result.code} ${result.stderr}\n${daemon.log.slice(-2000)}`,
        );
      return result.stdout.trimEnd();
    };

    test("version, info and ps", async () => {
      expect(await ok(["version", "--format", "{{.Server.Os}}"])).toBe("linux");
      expect(await ok(["info", "--format", "{{.Driver}} {{.ServerVersion}}"])).toMatch(/^overlay2 \S+$/);
      expect(await ok(["ps", "-a"])).toMatch(/^CONTAINER ID/);
    });

    test("run: streams, stdin, exit codes, refusals", async () => {
      expect(await docker(["run", "--rm", "busybox", "sh", "-c", "echo o; echo e >&2; exit 7"])).toEqual({
        code: 7,
        stdout: "o\n",
        stderr: "e\n",
      });
      expect((await docker(["run", "--rm", "-i", "busybox", "cat"], { input: "piped" })).stdout).toBe(
        "piped",
      );
      expect(await docker(["run", "--rm", "busybox", "nosuch"])).toMatchObject({ code: 127 });
      expect(await docker(["run", "--rm", "localhost:1/none"])).toMatchObject({ code: 125 });
    });

    test("a terminal, its size, detach keys and attach", async () => {
      const first = await Terminal.open(
        [client, "run", "-it", "--name", "tty", "busybox", "sh"],
        { DOCKER_HOST: daemon.host },
        { rows: 31, columns: 97 },
      );
      try {
        await first.until("#");
        await eventually("the size arrived", async () => {
          first.type("stty size\r");
          await Bun.sleep(50);
          return first.text.includes("31 97");
        });
        first.type("\x10\x11");
        expect({ code: await first.exited, screen: first.text }).toMatchObject({ code: 0 });
      } finally {
        first.close();
      }
      const again = await Terminal.open([client, "attach", "tty"], { DOCKER_HOST: daemon.host });
      try {
        again.type("echo co''me back\r");
        await again.until("come back");
        again.type("exit 3\r");
        expect({ code: await again.exited, screen: again.text }).toMatchObject({ code: 3 });
      } finally {
        again.close();
      }
    });

    test("exec, logs -f, cp-free inspection, top, events, stop, rm", async () => {
      await ok([
        "run",
        "-d",
        "--name",
        "cc",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.1; done; exec sleep 1000",
      ]);
      expect(await docker(["exec", "-i", "cc", "sh", "-c", "cat; exit 9"], { input: "x" })).toEqual({
        code: 9,
        stdout: "x",
        stderr: "",
      });
      const follow = Bun.spawn([client, "logs", "-f", "cc"], {
        env: { ...process.env, DOCKER_HOST: daemon.host },
        stderr: "ignore",
      });
      let followed = "";
      for await (const chunk of follow.stdout) {
        followed += Buffer.from(chunk).toString();
        if (followed.endsWith("3\n")) follow.kill("SIGINT");
      }
      await follow.exited;
      expect(followed).toBe("1\n2\n3\n");
      await eventually("it sleeps", async () =>
        (await ok(["top", "cc", "-o", "pid,args"])).includes("sleep 1000"),
      );
      expect(await ok(["inspect", "-f", "{{.State.Running}}", "cc"])).toBe("true");
      await ok(["stop", "-t", "0", "cc"]);
      await ok(["rm", "cc"]);
      const now = String(Math.ceil(Date.now() / 1000) + 1);
      expect(
        await ok([
          "events",
          "--since",
          "1m",
          "--until",
          now,
          "--filter",
          "container=cc",
          "--format",
          "{{.Action}}",
        ]),
      ).toContain("destroy");
    });

    test("images: save, load, tag, history, rmi", async () => {
      const tar = join(daemon.root, "cli.tar");
      await ok(["tag", "busybox", "cli:1"]);
      await ok(["save", "-o", tar, "cli:1"]);
      await ok(["rmi", "cli:1"]);
      expect(await ok(["load", "-i", tar])).toContain("Loaded image: cli:1");
      expect(await ok(["history", "--format", "{{.Comment}}", "cli:1"])).toContain("Imported from -");
      expect(await ok(["images", "--format", "{{.Repository}}", "cli"])).toBe("cli");
      await ok(["rmi", "cli:1"]);
    });

    test("networks, volumes and ports", async () => {
      const port = freePort();
      await ok(["network", "create", "cnet"]);
      await ok(["volume", "create", "cvol"]);
      await ok([
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "cnet",
        "-v",
        "cvol:/www",
        "-p",
        `${port}:80`,
        "busybox",
        "sh",
        "-c",
        "echo served >/www/index.html; exec httpd -f -h /www",
      ]);
      await eventually(
        "served",
        async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok === true,
      );
      expect(await ok(["port", "web"])).toContain(`80/tcp -> 0.0.0.0:${port}`);
      expect(await ok(["run", "--rm", "--network", "cnet", "busybox", "wget", "-qO-", "http://web/"])).toBe(
        "served",
      );
      expect(await ok(["network", "inspect", "-f", "{{len .Containers}}", "cnet"])).toBe("1");
    });
  });
}
