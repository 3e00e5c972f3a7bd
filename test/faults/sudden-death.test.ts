import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, type Result, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Kills for each operation. More of them is a longer look: TUG_KILLS=50. */
const kills = Number(process.env["TUG_KILLS"] ?? 2);

let daemon: TestDaemon;
let scratch: string;
let archive: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  scratch = mkdtempSync("/tmp/tug-sudden-");
  archive = join(scratch, "root.tar");
  mkdirSync(join(scratch, "root"));
  // Some 20 MB, which nothing compresses.
  for (let i = 0; i < 200; i++)
    writeFileSync(join(scratch, "root", `f${i}`), crypto.getRandomValues(new Uint8Array(65_536)));
  writeFileSync(join(scratch, "big"), Buffer.alloc(20_000_000, "x"));
  Bun.spawnSync(["tar", "-C", join(scratch, "root"), "-cf", archive, "."]);
}, 120_000);
afterEach(() => daemon.assertClean(), 120_000);
afterAll(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await daemon.close();
}, 120_000);

const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).length;
const lines = async (...args: string[]) => (await daemon.ok(args)).split("\n").filter(Boolean);
const there = async (...args: string[]) => (await daemon.tug([...args])).code === 0;

/** What must hold whenever a daemon serves, whatever happened to the one before. */
async function assertSound(): Promise<void> {
  for (const name of readdirSync(daemon.dataRoot)) {
    if (!/\.(?:db|sqlite)$/.test(name)) continue;
    using database = new Database(join(daemon.dataRoot, name), { readonly: true });
    expect([name, database.query("PRAGMA integrity_check").all()]).toEqual([
      name,
      [{ integrity_check: "ok" }],
    ]);
  }
  const containers = await lines("ps", "-aq", "--no-trunc");
  expect(readdirSync(join(daemon.dataRoot, "containers")).sort()).toEqual([...containers].sort());
  for (const id of readdirSync(join(daemon.execRoot, "containers"))) expect(containers).toContain(id);
  const volumes = await lines("volume", "ls", "-q");
  expect(readdirSync(join(daemon.dataRoot, "volumes")).sort()).toEqual([...volumes].sort());
  for (const id of await lines("images", "-aq")) await daemon.ok(["image", "inspect", id]);
  for (const id of await lines("network", "ls", "-q")) await daemon.ok(["network", "inspect", id]);
  const helpers = () =>
    processes().filter(
      ({ command }) => /__helper (?!resolver)/.test(command) && command.includes(daemon.root),
    );
  await eventually("no helper outlives its daemon", () => helpers().length === 0);
}

interface Story {
  readonly operation: string;
  /** Before each kill. */
  readonly given?: () => Promise<unknown>;
  /** The command that is cut short. */
  readonly args: () => readonly string[];
  /** After the restart; the outcome may be either, but must be whole. */
  readonly afterwards: () => Promise<unknown>;
}

/** Runs the operation once to see how long it takes, then kills the daemon at random moments of it. */
async function killAtRandom(story: Story): Promise<void> {
  const attempt = async (killAfter: number | undefined): Promise<void> => {
    await story.given?.();
    const started = performance.now();
    const work = daemon.tug(story.args(), { timeout: 60_000 });
    if (killAfter === undefined) {
      const result = await work;
      expect([story.operation, result.stderr, result.code]).toEqual([story.operation, "", 0]);
      took = performance.now() - started;
    } else {
      await Bun.sleep(killAfter);
      await daemon.crash();
      await work;
      await daemon.up();
    }
    await assertSound();
    await story.afterwards();
  };
  let took = 0;
  await attempt(undefined);
  for (let round = 0; round < kills; round++) {
    const after = Math.random() * took * 1.1;
    await attempt(after).catch((error: unknown) => {
      throw new Error(
        `${story.operation}, killed after ${after.toFixed(1)} of ${took.toFixed(1)} ms: ${error}`,
        {
          cause: error,
        },
      );
    });
  }
}

const sleeper = (name: string, ...flags: string[]) =>
  daemon.ok(["run", "-d", "--name", name, ...flags, "busybox", "sleep", "1000"]);
const again = async (args: readonly string[], accept?: RegExp) => {
  const result: Result = await daemon.tug(args, { timeout: 60_000 });
  if (result.code !== 0 && accept?.test(result.stderr)) return;
  expect([args.join(" "), result.stderr, result.code]).toEqual([args.join(" "), "", 0]);
};

const network: readonly Story[] = [
  {
    operation: "network create",
    args: () => ["network", "create", "net"],
    afterwards: async () => {
      if (!(await there("network", "inspect", "net"))) await daemon.ok(["network", "create", "net"]);
      await daemon.ok(["run", "--rm", "--network", "net", "busybox", "true"]);
      await daemon.ok(["network", "rm", "net"]);
    },
  },
  {
    operation: "network rm",
    given: () => daemon.ok(["network", "create", "net"]),
    args: () => ["network", "rm", "net"],
    afterwards: async () => {
      if (await there("network", "inspect", "net")) {
        await daemon.ok(["run", "--rm", "--network", "net", "busybox", "true"]);
        await daemon.ok(["network", "rm", "net"]);
      }
    },
  },
  {
    operation: "network connect",
    given: async () => {
      await daemon.ok(["network", "create", "net"]);
      await sleeper("one");
    },
    args: () => ["network", "connect", "net", "one"],
    afterwards: async () => {
      await again(["network", "connect", "net", "one"], /already exists in network/);
      expect(await daemon.ok(["exec", "one", "ip", "-o", "-4", "addr"])).toContain("eth1");
      await daemon.ok(["rm", "-f", "one"]);
      await daemon.ok(["network", "rm", "net"]);
    },
  },
  {
    operation: "rename",
    given: async () => {
      await daemon.ok(["network", "create", "net"]);
      await sleeper("before", "--network", "net");
    },
    args: () => ["rename", "before", "after"],
    afterwards: async () => {
      const [name = ""] = await lines("ps", "--format", "{{.Names}}");
      expect(["before", "after"]).toContain(name);
      // Its neighbours know it by the name it has now.
      await daemon.ok(["run", "--rm", "--network", "net", "busybox", "ping", "-c", "1", "-W", "5", name]);
      const other = name === "before" ? "after" : "before";
      await daemon.ok(["rename", name, other]);
      await daemon.ok(["rm", "-f", other]);
      await daemon.ok(["network", "rm", "net"]);
    },
  },
];

const volumes: readonly Story[] = [
  {
    operation: "volume create",
    args: () => ["volume", "create", "vol"],
    afterwards: async () => {
      await daemon.ok(["volume", "create", "vol"]);
      await daemon.ok(["run", "--rm", "-v", "vol:/v", "busybox", "touch", "/v/x"]);
      await daemon.ok(["volume", "rm", "vol"]);
    },
  },
  {
    operation: "volume rm",
    given: () => daemon.ok(["run", "--rm", "-v", "vol:/v", "busybox", "cp", "-r", "/bin", "/v/"]),
    args: () => ["volume", "rm", "vol"],
    afterwards: async () => {
      if (await there("volume", "inspect", "vol")) {
        await daemon.ok(["run", "--rm", "-v", "vol:/v", "busybox", "test", "-e", "/v/bin/busybox"]);
        await daemon.ok(["volume", "rm", "vol"]);
      }
    },
  },
  {
    operation: "run with an anonymous volume",
    args: () => ["run", "-d", "--name", "one", "-v", "/anonymous", "busybox", "sleep", "1000"],
    afterwards: async () => {
      const made = (await lines("volume", "ls", "-q")).length;
      expect(made).toBe((await there("container", "inspect", "one")) ? 1 : 0);
      if (made > 0) await daemon.ok(["rm", "-f", "-v", "one"]);
      expect(await lines("volume", "ls", "-q")).toEqual([]);
    },
  },
  {
    operation: "rm -f -v",
    given: async () => {
      await sleeper("one", "-v", "/anonymous");
      await daemon.ok(["exec", "one", "cp", "-r", "/bin", "/anonymous/"]);
    },
    args: () => ["rm", "-f", "-v", "one"],
    afterwards: async () => {
      if (await there("container", "inspect", "one")) {
        expect((await lines("volume", "ls", "-q")).length).toBe(1);
        await daemon.ok(["rm", "-f", "-v", "one"]);
      }
      expect(await lines("volume", "ls", "-q")).toEqual([]);
    },
  },
];

const running: readonly Story[] = [
  {
    operation: "pause",
    given: () => sleeper("one"),
    args: () => ["pause", "one"],
    afterwards: async () => {
      if ((await daemon.ok(["inspect", "-f", "{{.State.Status}}", "one"])) === "paused")
        await daemon.ok(["unpause", "one"]);
      await daemon.ok(["exec", "one", "true"]);
      await daemon.ok(["rm", "-f", "one"]);
    },
  },
  {
    operation: "unpause",
    given: async () => {
      await sleeper("one");
      await daemon.ok(["pause", "one"]);
    },
    args: () => ["unpause", "one"],
    afterwards: async () => {
      if ((await daemon.ok(["inspect", "-f", "{{.State.Status}}", "one"])) === "paused")
        await daemon.ok(["unpause", "one"]);
      await daemon.ok(["exec", "one", "true"]);
      await daemon.ok(["rm", "-f", "one"]);
    },
  },
  {
    operation: "commit",
    given: async () => {
      await sleeper("one");
      await daemon.ok(["exec", "one", "sh", "-c", "cp -r /bin /copy; head -c 3000000 /dev/urandom >/noise"]);
    },
    args: () => ["commit", "one", "made:1"],
    afterwards: async () => {
      expect(await daemon.ok(["inspect", "-f", "{{.State.Status}}", "one"])).toBe("running");
      if (!(await there("image", "inspect", "made:1"))) await daemon.ok(["commit", "one", "made:1"]);
      await daemon.ok(["run", "--rm", "made:1", "test", "-e", "/copy/busybox", "-a", "-e", "/noise"]);
      await daemon.ok(["rm", "-f", "one"]);
      await daemon.ok(["rmi", "made:1"]);
    },
  },
  {
    operation: "cp",
    given: () => sleeper("one"),
    args: () => ["cp", join(scratch, "big"), "one:/big"],
    afterwards: async () => {
      await daemon.ok(["cp", join(scratch, "big"), "one:/big"]);
      expect(await daemon.ok(["exec", "one", "sh", "-c", "wc -c </big; ls /"])).toMatch(
        /^20000000\nbig\nbin\n/,
      );
      await daemon.ok(["rm", "-f", "one"]);
    },
  },
];

for (const [name, stories] of Object.entries({ network, volumes, running })) {
  test(`kill -9 in the middle of ${stories.map((one) => one.operation).join(", ")}: each is done or undone (${name})`, async () => {
    const before = layers();
    for (const story of stories) {
      await killAtRandom(story);
      expect([story.operation, layers()]).toEqual([story.operation, before]);
    }
  }, 180_000);
}

test("kill -9 in the middle of import and rmi: the image is whole or not there", async () => {
  const before = layers();
  const gone = async () => {
    if (await there("image", "inspect", "made:1")) await daemon.ok(["rmi", "made:1"]);
    expect(layers()).toBe(before);
  };
  const whole = async () => {
    const check = ["create", "--name", "look", "made:1", "x"];
    if (!(await there("image", "inspect", "made:1"))) await daemon.ok(["import", archive, "made:1"]);
    await daemon.ok(check);
    await daemon.ok(["cp", "look:/f199", join(scratch, "out")]);
    await daemon.ok(["rm", "look"]);
    await gone();
  };
  await killAtRandom({ operation: "import", args: () => ["import", archive, "made:1"], afterwards: whole });
  await killAtRandom({
    operation: "rmi",
    given: () => daemon.ok(["import", archive, "made:1"]),
    args: () => ["rmi", "made:1"],
    afterwards: whole,
  });
}, 180_000);

test("kill -9 in the middle of a pull: the next one completes it", async () => {
  const missing = TestRegistry.missing();
  if (missing) {
    console.warn(`skipped: ${missing}`);
    return;
  }
  const registry = await TestRegistry.start();
  try {
    const tar = join(scratch, "image.tar");
    await daemon.ok(["import", archive, "made:1"]);
    await daemon.ok(["save", "-o", tar, "made:1"]);
    await daemon.ok(["rmi", "made:1"]);
    await registry.push(`docker-archive:${tar}`, "made:1");
    const before = layers();
    const image = `${registry.address}/made:1`;
    await killAtRandom({
      operation: "pull",
      args: () => ["pull", "-q", image],
      afterwards: async () => {
        if (!(await there("image", "inspect", image))) expect(layers()).toBe(before);
        await daemon.ok(["pull", "-q", image]);
        await daemon.ok(["create", "--name", "look", image, "x"]);
        await daemon.ok(["cp", "look:/f199", join(scratch, "out")]);
        expect(existsSync(join(scratch, "out"))).toBe(true);
        await daemon.ok(["rm", "look"]);
        await daemon.ok(["rmi", image]);
        expect(layers()).toBe(before);
      },
    });
  } finally {
    await registry.close();
  }
}, 180_000);
