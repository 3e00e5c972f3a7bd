import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { eventually, run, TestDaemon, tugBinary } from "../harness/daemon.ts";

/** daemon.json is read again while the daemon starts, and while it builds. */
setDefaultTimeout(60_000);

let daemon: TestDaemon;
let builds: Builds;
/** A step that fetches "/wait" tells that it runs, and goes on when it is let. */
let server: Bun.Server<undefined>;
let arrived = Promise.withResolvers<void>();
let released = Promise.withResolvers<void>();

const generous = { builder: { gc: { policy: [{ all: true, reservedSpace: "100GB" }] } } };
const strict = { builder: { gc: { policy: [{ all: true, maxUsedSpace: 1 }] } } };

beforeAll(async () => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async () => {
      arrived.resolve();
      await released.promise;
      return new Response("go on");
    },
  });
  daemon = await TestDaemon.start({ config: generous });
  builds = new Builds(daemon);
}, 120_000);
afterEach(async () => {
  released.resolve();
  await reload(generous);
  await daemon.ok(["builder", "prune", "-af"]);
});
afterAll(async () => {
  await server?.stop(true);
  builds?.[Symbol.dispose]();
  await daemon?.close();
}, 120_000);

/** Until the log says once more that the file was read (or refused). */
async function reload(config: object, until = "Reloaded configuration"): Promise<void> {
  const told = daemon.log.split(until).length;
  writeFileSync(join(daemon.root, "daemon.json"), JSON.stringify(config));
  process.kill(daemon.pid, "SIGHUP");
  await eventually(until, () => daemon.log.split(until).length > told);
}

/** Whether it has a handler for SIGHUP, which is the lowest bit. */
function heardHangUps(pid: number): boolean {
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "0";
  return Number.parseInt(caught.slice(-1), 16) % 2 === 1;
}

const usage = () => daemon.ok(["builder", "du", "--verbose"]);
const build = (dockerfile: string, ...flags: string[]) =>
  daemon.tug(["build", "--progress=plain", ...flags, builds.context({ Dockerfile: dockerfile })], {
    timeout: 60_000,
  });

/** A build that is in its last step but one, and how to let it go on. */
async function waitingBuild() {
  [arrived, released] = [Promise.withResolvers(), Promise.withResolvers()];
  const url = `http://127.0.0.1:${server.port}/wait`;
  const over = build(
    `FROM busybox\nRUN head -c 300000 /dev/urandom >/used\nRUN wget -qO /said ${url}\nRUN cat /said && wc -c </used\n`,
    ...["--network", "host", "--allow", "network.host", "-t", "waited"],
  );
  await Promise.race([
    arrived.promise,
    over.then(({ stderr }) => {
      throw new Error(`it did not wait:\n${stderr}`);
    }),
  ]);
  return async () => {
    released.resolve();
    return await over;
  };
}

test("a policy that gets strict while something is built takes what nobody uses, and nothing of the build", async () => {
  expect(
    await build("FROM busybox\nRUN echo unused && head -c 300000 /dev/urandom >/unused\n"),
  ).toMatchObject({ code: 0 });
  const finish = await waitingBuild();
  expect(await usage()).toContain("echo unused");
  await reload(strict);
  await eventually("what nobody uses has gone", async () => !(await usage()).includes("echo unused"));
  expect(await usage()).toContain("/used");
  const { code, stderr } = await finish();
  expect([code, stderr]).toEqual([0, expect.stringContaining("go on300000\n")]);
  expect(await daemon.ok(["run", "--rm", "--network", "none", "waited", "cat", "/said"])).toBe("go on");
  await daemon.ok(["rmi", "waited"]);
});

test("a policy that is wrong, or switched off, changes nothing of what is kept, and builds go on", async () => {
  const finish = await waitingBuild();
  await reload(
    { debug: true, builder: { gc: { policy: [{ all: true, maxUsedSpace: "lots" }] } } },
    "the configuration was not reloaded",
  );
  expect(daemon.log).toContain(
    'builder.gc.policy[0].maxUsedSpace: expected a size such as \\"10GB\\", not \\"lots\\"',
  );
  expect(await daemon.ok(["info", "-f", "{{.Debug}}"])).toBe("false");
  // The last step has what is the default by then.
  const runtimes = { own: { path: "runc" } };
  const more = {
    runtimes,
    "default-runtime": "own",
    "default-shm-size": "2m",
    "max-concurrent-downloads": 1,
  };
  await reload({ builder: { gc: { enabled: false } }, ...more });
  expect(await finish()).toMatchObject({ code: 0 });
  expect(await usage()).toContain("/used");
  await daemon.ok(["rmi", "waited"]);
});

test("frontends are allowed and forbidden by the file as it is then", async () => {
  const asked = () => build("# syntax=127.0.0.1:1/own/frontend:1\nFROM busybox\n");
  expect((await asked()).stderr).toContain("the frontend 127.0.0.1:1/own/frontend is not run");
  await reload({ builder: { frontends: ["127.0.0.1:1/own/frontend"] } });
  expect((await asked()).stderr).toContain("connection refused");
  await reload(generous);
  expect((await asked()).stderr).toContain("is not run");
});

test("a wrong policy is told by --validate, and one that comes with SIGHUP while the daemon starts is taken when it runs", async () => {
  const file = join(daemon.root, "wrong.json");
  writeFileSync(file, JSON.stringify({ builder: { gc: { enabled: "yes" } } }));
  const { code, stderr } = await run([tugBinary, "daemon", "--validate", "--config-file", file]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("builder.gc.enabled: expected true or false")]);
  // Once more where this machine was too slow to see it begin.
  await eventually("it hears of it before it serves", async () => {
    await daemon.stop();
    const said = daemon.log.length;
    const up = daemon.up();
    await eventually("it has begun", () => heardHangUps(daemon.pid));
    const early = !daemon.log.slice(said).includes("API listen on");
    process.kill(daemon.pid, "SIGHUP");
    await up;
    await eventually("it reads again", () => daemon.log.slice(said).includes("Reloaded configuration"));
    return early;
  });
});
