import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { member, tarEnd } from "../harness/raw-tar.ts";

let daemon: TestDaemon;
let here = "";
beforeAll(async () => {
  daemon = await TestDaemon.start();
  here = mkdtempSync("/tmp/tug-e2e-files-");
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  rmSync(here, { recursive: true, force: true });
  await daemon.close();
});

const at = (...parts: string[]) => join(here, ...parts);
const fresh = (name: string) => {
  rmSync(at(name), { recursive: true, force: true });
  mkdirSync(at(name));
  return at(name);
};
const sh = (name: string, script: string) => daemon.ok(["exec", name, "sh", "-c", script]);
const sleeper = (name: string, ...flags: string[]) =>
  daemon.ok(["run", "-d", "--name", name, "--network", "none", ...flags, "busybox", "sleep", "1000"]);

test("cp brings files and directories in and out of running and stopped containers alike", async () => {
  const dir = fresh("tree");
  mkdirSync(join(dir, "sub"));
  writeFileSync(join(dir, "one"), "1");
  writeFileSync(join(dir, "sub/two"), "2", { mode: 0o640 });
  symlinkSync("sub/two", join(dir, "link"));
  chownSync(join(dir, "sub/two"), 1234, 2345);
  await sleeper("cc");
  for (const state of ["running", "stopped"]) {
    if (state === "stopped") await daemon.ok(["stop", "-t", "0", "cc"]);
    await daemon.ok(["cp", dir, `cc:/${state}`]);
    await daemon.ok(["cp", join(dir, "one"), `cc:/${state}/renamed`]);
    const out = fresh("out");
    await daemon.ok(["cp", `cc:/${state}`, out]);
    expect(readFileSync(join(out, state, "sub/two"), "utf8")).toBe("2");
    expect(statSync(join(out, state, "sub/two")).mode & 0o777).toBe(0o640);
    expect(readlinkSync(join(out, state, "link"))).toBe("sub/two");
    expect(readFileSync(join(out, state, "renamed"), "utf8")).toBe("1");
    await daemon.ok(["cp", "-L", `cc:/${state}/link`, join(out, "followed")]);
    expect(lstatSync(join(out, "followed")).isFile()).toBe(true);
  }
  await daemon.ok(["start", "cc"]);
  expect(await sh("cc", "stat -c '%u %g %a' /running/sub/two /stopped/sub/two; cat /stopped/sub/two")).toBe(
    "1234 2345 640\n1234 2345 640\n2",
  );
});

test("the documented table: what the destination is decides what cp makes of it", async () => {
  await sleeper("cc");
  await sh("cc", "mkdir -p /dir /full; touch /full/old /file");
  const dir = fresh("src");
  writeFileSync(join(dir, "f"), "new");
  const file = join(dir, "f");
  await daemon.ok(["cp", file, "cc:/created"]);
  await daemon.ok(["cp", file, "cc:/file"]);
  await daemon.ok(["cp", file, "cc:/dir"]);
  await daemon.ok(["cp", dir, "cc:/made"]);
  await daemon.ok(["cp", dir, "cc:/full"]);
  await daemon.ok(["cp", `${dir}/.`, "cc:/full"]);
  expect(await sh("cc", "cat /created /file /dir/f /made/f /full/src/f /full/f; ls /full")).toBe(
    "newnewnewnewnewnewf\nold\nsrc",
  );
  const slash = await daemon.tug(["cp", file, "cc:/nodir/"]);
  expect(slash.code).toBe(1);
  const onFile = await daemon.tug(["cp", dir, "cc:/file"]);
  expect([onFile.code, onFile.stderr]).toEqual([1, expect.stringContaining("cannot copy directory")]);
  const missing = await daemon.tug(["cp", "cc:/nope", here]);
  expect(missing.stderr).toContain("Could not find the file /nope in container cc");
});

test("volumes, binds, tmpfs and absolute links are where the container has them", async () => {
  const bind = fresh("bind");
  writeFileSync(join(bind, "b"), "bound");
  await sleeper("cc", "-v", "vol:/data", "-v", `${bind}:/bind:ro`, "--tmpfs", "/mem");
  await sh(
    "cc",
    "echo v >/data/v; echo m >/mem/m; mkdir -p /run /var; rm -rf /var/run; ln -s /run /var/run; echo r >/run/r",
  );
  const file = at("in");
  writeFileSync(file, "in");
  const read = async (path: string) => {
    const tar = await daemon.ok(["cp", `cc:${path}`, "-"]);
    return tar.includes("ustar") ? tar.slice(512).replace(/\0+$/, "").trim() : tar;
  };
  expect(await read("/data/v")).toStartWith("v");
  expect(await read("/bind/b")).toStartWith("bound");
  expect(await read("/mem/m")).toStartWith("m");
  expect(await read("/var/run/r")).toStartWith("r");
  await daemon.ok(["cp", file, "cc:/var/run/x"]);
  await daemon.ok(["cp", file, "cc:/data/x"]);
  await daemon.ok(["cp", file, "cc:/mem/x"]);
  expect(await sh("cc", "cat /run/x /data/x /mem/x; test -L /var/run && echo link")).toBe("inininlink");
  const refused = await daemon.tug(["cp", file, "cc:/bind/x"]);
  expect(refused.stderr).toContain("mounted volume is marked read-only");
  const hosts = await daemon.tug(["cp", file, "cc:/etc/hosts"]);
  expect(hosts.stderr).toContain("device or resource busy");
  await daemon.ok(["stop", "-t", "0", "cc"]);
  expect(await read("/data/x")).toStartWith("in");
  await daemon.ok(["cp", file, "cc:/data/y"]);
  expect((await daemon.tug(["cp", file, "cc:/bind/x"])).stderr).toContain("marked read-only");
  expect(existsSync(join(bind, "x"))).toBe(false);
  await daemon.ok(["start", "cc"]);
  expect(await sh("cc", "cat /data/y")).toBe("in");
});

test("a read-only root refuses cp, its volumes do not; a container that never ran shows its volumes filled", async () => {
  await sleeper("ro", "--read-only", "-v", "vol:/data");
  const file = at("in");
  writeFileSync(file, "in");
  expect((await daemon.tug(["cp", file, "ro:/x"])).stderr).toContain("container rootfs is marked read-only");
  await daemon.ok(["cp", file, "ro:/data/x"]);
  await daemon.ok(["create", "--name", "never", "-v", "filled:/etc", "busybox"]);
  const out = fresh("out");
  await daemon.ok(["cp", "never:/etc/passwd", out]);
  expect(readFileSync(join(out, "passwd"), "utf8")).toContain("root");
  await daemon.ok(["cp", file, "never:/etc/added"]);
  expect(
    await daemon.ok(["run", "--rm", "-v", "filled:/v", "busybox", "sh", "-c", "cat /v/added; ls /v/passwd"]),
  ).toBe("in/v/passwd");
});

test("what does not fit is said so, and the container goes on", async () => {
  await sleeper("cc", "--tmpfs", "/mem:size=1m");
  writeFileSync(at("big"), Buffer.alloc(3 << 20, "x"));
  const full = await daemon.tug(["cp", at("big"), "cc:/mem/big"]);
  expect([full.code, full.stderr]).toEqual([
    1,
    expect.stringContaining("write /mem/big: no space left on device"),
  ]);
  expect(await sh("cc", "rm /mem/big; echo more >/mem/x; cat /mem/x")).toBe("more");
});

test("copies that fail or are given up leave no descriptor, process or complaint in the daemon", async () => {
  await sleeper("cc", "--tmpfs", "/mem:size=100k");
  const body = Buffer.alloc(4 << 20, "not a tar ");
  const before = daemon.fdCount();
  for (let round = 0; round < 10; round++) {
    const put = await fetch("http://tug/containers/cc/archive?path=/", {
      unix: daemon.socket,
      method: "PUT",
      body,
    });
    expect(put.status).toBe(500);
    const abort = new AbortController();
    const get = await fetch("http://tug/containers/cc/archive?path=/", {
      unix: daemon.socket,
      signal: abort.signal,
    });
    await get.body?.getReader().read();
    abort.abort();
  }
  await eventually("descriptors are back", () => daemon.fdCount() <= before + 2);
  expect(daemon.log).not.toContain("unhandled");
});

test("no program of the image is run to unpack or look something up", async () => {
  await sleeper("cc");
  const evil = "#!/bin/sh\\ntouch /ran; cat";
  await sh(
    "cc",
    `for p in xz gzip zstd unpigz bzip2 tar unxz; do for d in /bin /usr/bin /usr/local/bin; do mkdir -p $d; rm -f $d/$p; printf '${evil}' > $d/$p; chmod 755 $d/$p; done; done; mkdir -p /in`,
  );
  const dir = fresh("packed");
  writeFileSync(join(dir, "f"), "packed");
  const tar = Bun.spawnSync(["tar", "-C", dir, "-c", "f"]).stdout;
  for (const program of ["gzip", "xz", "bzip2", "zstd", "cat"]) {
    const packed = Bun.spawnSync([program, ...(program === "cat" ? [] : ["-c"])], { stdin: tar }).stdout;
    await sh("cc", "rm -f /in/f");
    const reply = await fetch("http://tug/containers/cc/archive?path=/in", {
      unix: daemon.socket,
      method: "PUT",
      body: packed,
    });
    expect([program, reply.status]).toEqual([program, 200]);
    expect(await sh("cc", "cat /in/f; ls /ran 2>/dev/null || true")).toBe("packed");
  }
  expect(existsSync("/ran")).toBe(false);
});

test("diff tells what the container did and nothing of what the engine did", async () => {
  await sleeper("cc");
  expect(await daemon.ok(["diff", "cc"])).toBe("");
  await sh("cc", "echo n >/new; mkdir /d; echo x >>/etc/passwd; rm /bin/yes");
  const lines = ["C /bin", "D /bin/yes", "C /etc", "C /etc/passwd", "A /d", "A /new"];
  expect((await daemon.ok(["diff", "cc"])).split("\n").sort()).toEqual(lines.sort());
  await daemon.ok(["stop", "-t", "0", "cc"]);
  expect((await daemon.ok(["diff", "cc"])).split("\n").sort()).toEqual(lines.sort());
});

test("export writes the whole root without the volumes", async () => {
  await sleeper("cc", "-v", "vol:/data");
  await sh("cc", "echo v >/data/v; echo r >/r; ln /r /hard");
  const list = async (): Promise<string[]> => {
    const path = at("export.tar");
    await daemon.ok(["export", "-o", path, "cc"]);
    return Bun.spawnSync(["tar", "-tf", path]).stdout.toString().split("\n");
  };
  for (const state of ["running", "stopped"]) {
    if (state === "stopped") await daemon.ok(["stop", "-t", "0", "cc"]);
    const names = await list();
    expect(names).toContain("bin/busybox");
    expect(names).toContain("r");
    expect(names).toContain("data/");
    expect(names).not.toContain("data/v");
  }
});

test("commit makes an image of what the container changed, with the configuration asked for", async () => {
  await sleeper("cc", "-v", "vol:/data", "-e", "A=1", "--label", "l=1");
  await sh("cc", "echo n >/new; rm /bin/yes; echo v >/data/v; chown 5:6 /new");
  const id = await daemon.ok([
    "commit",
    ...["-a", "me", "-m", "why", "-c", 'CMD ["sh","-c","cat /new; ls /bin/yes /data; pwd"]'],
    ...["-c", "ENV B=2", "-c", "WORKDIR /w", "-c", "EXPOSE 80", "cc", "made:1"],
  ]);
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  const run = await daemon.tug(["run", "--rm", "--network", "none", "made:1"]);
  expect(run.stdout).toBe("n\n/data:\n/w\n");
  const shown = JSON.parse(await daemon.ok(["inspect", "made:1"]))[0];
  expect(shown).toMatchObject({
    Author: "me",
    Comment: "why",
    Config: { WorkingDir: "/w", Labels: { l: "1" } },
  });
  expect(shown.Config.Env).toEqual(expect.arrayContaining(["A=1", "B=2"]));
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}}", "cc"])).toBe("running");
  expect((await daemon.tug(["commit", "cc", "BAD"])).code).toBe(1);
  expect((await daemon.tug(["commit", "-c", "RUN x", "cc"])).stderr).toContain(
    "run is not a valid change command",
  );
  await daemon.ok(["rmi", "made:1"]);
});

test("what a commit made at once and what its layer's blob unpacks to are the same tree", async () => {
  const make = [
    "rm /bin/yes /etc/nsswitch.conf",
    "rm -r /var && mkdir /var && echo new > /var/only",
    "head -c 2500000 /dev/urandom > /random && yes text | head -c 2500000 > /text",
    "ln /random /linked && ln -s /text /soft && mkfifo /fifo && chmod 4711 /text && chown 7:8 /random",
    "mkdir -p /deep/er && for i in $(seq 200); do echo $i > /deep/er/$i; done && touch -t 200102030405 /deep",
  ];
  await daemon.ok(["run", "--name", "cc", "--network", "none", "busybox", "sh", "-c", make.join(" && ")]);
  await daemon.ok(["commit", "cc", "both"]);
  // What the engine itself makes for every container is another one's each time.
  const own = "^[.]/([.]dockerenv|dev|proc|sys|etc|etc/(hosts|hostname|resolv.conf|mtab)) |^[.] ";
  const look = `cd / && find . -xdev | sort | xargs stat -c '%n %F %a %u %g %h %Y' | grep -vE '${own}'; md5sum /random /text; ls -l /soft`;
  const tree = () => daemon.ok(["run", "--rm", "--network", "none", "both", "sh", "-c", look]);
  const made = await tree();
  expect(made).toContain("/linked regular file 644 7 8 2");
  expect(made).not.toMatch(/bin\/yes|nsswitch|var\/run/);
  await daemon.ok(["save", "-o", at("both.tar"), "both"]);
  await daemon.ok(["rmi", "both"]);
  await daemon.ok(["load", "-i", at("both.tar")]);
  expect(await tree()).toBe(made);
  await daemon.ok(["rmi", "both"]);
});

test("a commit of nothing has its parent's layers and says so in its history", async () => {
  await daemon.ok(["create", "--name", "cc", "busybox"]);
  await daemon.ok(["commit", "-m", "nothing", "cc", "same"]);
  const layers = (image: string) => daemon.ok(["inspect", "-f", "{{json .RootFS.Layers}}", image]);
  expect(await layers("same")).toBe(await layers("busybox"));
  expect(await daemon.ok(["history", "--format", "{{.Size}} {{.Comment}}", "same"])).toStartWith(
    "0B nothing\n",
  );
  expect(await daemon.ok(["run", "--rm", "--network", "none", "same", "echo", "runs"])).toBe("runs");
  await daemon.ok(["rmi", "same"]);
});

test("a container that ends in the middle of cp and a daemon that dies in it leave nothing behind", async () => {
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "cc",
    "--network",
    "none",
    "-v",
    "vol:/data",
    "busybox",
    "sleep",
    "1000",
  ]);
  const archive = Buffer.concat([member({ name: "big", data: Buffer.alloc(4 << 20, "x") }), tarEnd]);
  const half = 2 << 20;
  const copying = (into: string) => {
    const env = { ...process.env, DOCKER_HOST: daemon.host };
    const child = Bun.spawn([tugBinary, "cp", "-", `cc:${into}`], {
      env,
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.stdin.write(archive.subarray(0, half));
    void child.stdin.flush();
    return child;
  };
  const begun = (path: string) =>
    eventually("the file grows", async () => {
      return (await daemon.api("HEAD", `/containers/cc/archive?path=${path}`)).status === 200;
    });
  const first = copying("/data");
  await begun("/data/big");
  await daemon.ok(["kill", "cc"]);
  first.stdin.write(archive.subarray(half));
  void first.stdin.end();
  await first.exited;
  expect((await daemon.api("HEAD", "/containers/cc/archive?path=/data")).status).toBe(200);
  const again = copying("/");
  await begun("/big");
  await daemon.crash();
  expect(await again.exited).toBe(1);
  const helpers = () =>
    Bun.spawnSync(["pgrep", "-f", "__helper files"]).stdout.toString().split("\n").filter(Boolean);
  const mine = () =>
    helpers().filter((pid) => {
      const parent = /^PPid:\s+(\d+)/m.exec(
        existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, "utf8") : "",
      )?.[1];
      return parent === "1";
    });
  await eventually("no helper outlives its daemon", () => mine().length === 0);
  await daemon.up();
  writeFileSync(at("late"), "in");
  await daemon.ok(["cp", at("late"), "cc:/after"]);
});

test("a daemon that dies in a commit leaves no frozen container and no half image", async () => {
  await sleeper("cc");
  const large = "head -c 150000000 /dev/urandom >/big";
  await daemon.ok(["exec", "cc", "sh", "-c", large], { timeout: 100_000 });
  let over = false;
  const commit = () => {
    over = false;
    return daemon.tug(["commit", "cc", "half"]).finally(() => {
      over = true;
    });
  };
  let committing = commit();
  const signal = (pid: number, name: NodeJS.Signals) => {
    try {
      return process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
      throw error;
    }
  };
  const helpers = () =>
    Bun.spawnSync(["pgrep", "-P", String(daemon.pid), "-f", "__helper files"])
      .stdout.toString()
      .split("\n")
      .filter(Boolean)
      .map(Number);
  // Stopped, or it might be done before the daemon dies.
  let stopped: readonly number[] = [];
  await eventually("the layer is being written", async () => {
    stopped = helpers().filter((pid) => signal(pid, "SIGSTOP"));
    if (over && stopped.length === 0) {
      // It was done before we looked.
      expect(await committing).toMatchObject({ code: 0 });
      await daemon.ok(["rmi", "half"]);
      committing = commit();
    }
    return stopped.length > 0;
  });
  await daemon.crash();
  // It ends with the daemon; one that was stopped before it could see to that sees it now.
  for (const pid of stopped) signal(pid, "SIGCONT");
  const committed = await committing;
  expect([committed.code, committed.stderr]).toEqual([1, expect.any(String)]);
  await daemon.up();
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}}", "cc"])).toBe("running");
  expect(await sh("cc", "echo alive")).toBe("alive");
  expect(await daemon.ok(["images", "-q", "half"])).toBe("");
  await daemon.ok(["commit", "cc", "whole"]);
  await daemon.ok(["rm", "-f", "cc"]);
  await daemon.ok(["rmi", "whole"]);
}, 120_000);
