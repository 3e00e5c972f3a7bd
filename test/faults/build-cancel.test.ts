import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Builds, contextTar, type Files } from "../harness/builds.ts";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { mountPoints, processes } from "../harness/machine.ts";
import { file } from "../harness/raw-tar.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

const missing = Builds.missing();
if (missing) console.log(`skipped: ${missing}`);

let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  if (missing) return;
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
});
afterAll(async () => {
  if (missing) return;
  builds[Symbol.dispose]();
  await daemon.close();
});
const fault = missing ? test.skip : test;

/** Something only its own step's processes have on their command lines. */
const token = () => `token-${crypto.randomUUID()}`;
const runs = (mark: string) =>
  processes().some(({ command }) => command.includes(mark) && !command.includes("docker"));
const steps = () => mountPoints().filter((point) => point.startsWith(`${daemon.root}/`));
const containers = () => {
  const folder = join(daemon.execRoot, "build");
  return existsSync(folder) ? readdirSync(folder) : [];
};
const ended = (mark: string) =>
  eventually("all of the build has ended", () => !runs(mark) && steps().length === 0, 30_000);
/** A step that runs until it is ended, with a child that ignores what asks it to end. */
const endless = (mark: string): Files => ({
  Dockerfile: `FROM busybox\nRUN (trap '' TERM INT HUP; while :; do sleep 1000; done) & : ${mark}; sleep 1000\n`,
});

fault("Ctrl-C at the docker CLI ends a RUN step and everything in it", async () => {
  const mark = token();
  const { argv, env } = builds.command(builds.context(endless(mark)));
  const client = Bun.spawn(argv, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "ignore"] });
  await eventually("the step runs", () => runs(mark), 30_000);
  client.kill("SIGINT");
  await client.exited;
  await ended(mark);
  expect(containers().filter((name) => name.includes(mark))).toEqual([]);
});

fault("a client that is killed, or hangs up, ends its build", async () => {
  const [first, second] = [token(), token()];
  const { argv, env } = builds.command(builds.context(endless(first)));
  const client = Bun.spawn(argv, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "ignore"] });
  const hangUp = new AbortController();
  const classic = builds
    .classic(endless(second), {}, { signal: hangUp.signal })
    .catch((error: unknown) => error);
  await eventually("both run", () => runs(first) && runs(second), 30_000);
  client.kill("SIGKILL");
  hangUp.abort();
  expect(await classic).toBeInstanceOf(Error);
  await client.exited;
  await ended(first);
  await ended(second);
});

fault("/build/cancel ends a build of either protocol; one that is not known has ended", async () => {
  const mark = token();
  const classic = builds.classic(endless(mark), { buildid: mark });
  await eventually("it runs", () => runs(mark), 30_000);
  expect((await daemon.api("POST", `/build/cancel?id=${mark}`)).status).toBe(200);
  expect((await classic).error).toMatch(/cancel/);
  await ended(mark);
  expect((await daemon.api("POST", "/build/cancel?id=nobody")).status).toBe(200);
  expect((await daemon.api("POST", "/build/cancel")).status).toBe(400);
});

fault("a transfer that is cut off ends the build and leaves none of the context", async () => {
  const folder = join(daemon.dataRoot, "build/contexts");
  // Some of these may be on their way out.
  const before = new Set(existsSync(folder) ? readdirSync(folder) : []);
  const added = () => readdirSync(folder).filter((name) => !before.has(name));
  for (const cut of [100, 512, 700, 60_000]) {
    const whole = contextTar({ Dockerfile: "FROM busybox\nCOPY . /x\n", big: new Uint8Array(1_000_000) });
    const { promise: sent, resolve } = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(whole.subarray(0, cut));
        resolve();
      },
    });
    const hangUp = new AbortController();
    const building = builds.classic(body, {}, { signal: hangUp.signal }).catch((error: unknown) => error);
    await sent;
    await eventually("the build has begun", () => existsSync(folder) && added().length > 0, 2000).catch(
      () => undefined,
    ); // of so little, nothing may have been written yet
    hangUp.abort();
    await building;
  }
  await eventually("the context is gone", () => added().length === 0, 30_000);
  expect(await daemon.ping()).toBe(true);
});

fault("copying and exporting end at once, too", async () => {
  const files: Record<string, string | Uint8Array> = { Dockerfile: "" };
  const noise = new Uint8Array(8_000_000);
  for (let i = 0; i < noise.length; i += 65_536)
    crypto.getRandomValues(noise.subarray(i, Math.min(i + 65_536, noise.length)));
  for (let i = 0; i < 5; i++) files[`data/${i}`] = noise;
  const layers = () => readdirSync(join(daemon.dataRoot, "overlay2"));
  await daemon.ok(["builder", "prune", "-af"]);
  const before = layers().length;
  for (const phase of ["COPY data", "exporting"]) {
    const context = builds.context({ ...files, Dockerfile: `FROM busybox\nCOPY data /${token()}\n` });
    const { argv, env } = builds.command(context);
    const client = Bun.spawn(argv, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    for await (const chunk of client.stderr) {
      said += Buffer.from(chunk).toString();
      if (said.includes(phase)) {
        client.kill("SIGINT");
        break;
      }
    }
    await client.exited;
    await eventually("no mount is left", () => steps().length === 0, 30_000);
  }
  await eventually(
    "every layer can be given back",
    async () => {
      // One whose image was made when the signal came has happened.
      await daemon.ok(["image", "prune", "-f"]);
      await daemon.ok(["builder", "prune", "-af"]);
      return layers().length <= before;
    },
    30_000,
  );
});

fault("a step that two builds share goes on when one of them is cancelled", async () => {
  const mark = token();
  const shared: Files = {
    Dockerfile: `FROM busybox\nRUN --mount=type=cache,id=${mark},target=/c : ${mark}; echo ran >>/c/ran; while [ ! -e /c/go ]; do sleep 0.05; done; cat /c/ran >/ran; rm /c/go\n`,
  };
  const release = `FROM busybox\nRUN --mount=type=cache,id=${mark},target=/c touch /c/go\n`;
  const hangUp = new AbortController();
  const first = builds.classic(shared, {}, { signal: hangUp.signal }).catch((error: unknown) => error);
  await eventually("it runs", () => runs(mark), 30_000);
  const { argv, env } = builds.command(builds.context(shared), ["-t", "shared"]);
  const second = Bun.spawn(argv, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
  const { promise: joined, resolve } = Promise.withResolvers<void>();
  const saying = (async () => {
    let said = "";
    for await (const chunk of second.stderr) {
      said += Buffer.from(chunk).toString();
      if (said.includes("2/2] RUN")) resolve();
    }
    return said;
  })();
  await joined;
  hangUp.abort();
  expect(await first).toBeInstanceOf(Error);
  expect((await builds.classic({ Dockerfile: release })).error).toBeUndefined();
  const said = await saying;
  expect(await second.exited, said).toBe(0);
  expect(await daemon.ok(["run", "--rm", "shared", "cat", "/ran"])).toBe("ran");
});

fault("20 builds at once, while images and the cache are removed", async () => {
  const stop = new AbortController();
  const removing = (async () => {
    while (!stop.signal.aborted) {
      await daemon.tug(["builder", "prune", "-af"]);
      await daemon.tug(["image", "prune", "-f"]);
      await daemon.tug(["rmi", "-f", "crowd0", "crowd3", "shared"]);
      await daemon.tug(["system", "prune", "-f"]);
    }
  })();
  try {
    const built = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        builds.classic(
          {
            Dockerfile: `FROM busybox AS a\nRUN echo ${index % 7} >/a\nFROM busybox\nCOPY --from=a /a /a\nCOPY x /x\nRUN cat /a /x\n`,
            x: `${index}`,
          },
          { t: `crowd${index}` },
        ),
      ),
    );
    for (const { error } of built) expect(error).toBeUndefined();
  } finally {
    stop.abort();
    await removing;
  }
  for (const index of [1, 19])
    expect(await daemon.ok(["run", "--rm", `crowd${index}`, "cat", "/a", "/x"])).toBe(
      `${index % 7}\n${index}`,
    );
});

fault("a step that needs more memory than it may have is killed, and said so", async () => {
  const hog = "FROM busybox\nRUN x=a; while :; do x=$x$x; done\n";
  const { error } = await builds.classic(
    { Dockerfile: hog },
    { memory: String(16 << 20), memswap: String(16 << 20) },
  );
  expect(error).toMatch(/137|out of memory|memory/);
  expect((await builds.classic({ Dockerfile: "FROM busybox\nRUN echo after-oom\n" })).text).toContain(
    "after-oom",
  );
});

fault("an endless context ends with its client, and does not grow the daemon", async () => {
  const before = daemon.residentBytes();
  const hangUp = new AbortController();
  let sent = 0;
  const head = file("Dockerfile", "FROM busybox\n");
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(sent === 0 ? head : file(`f${sent}`, "", { data: new Uint8Array(1 << 20) }));
      if (++sent === 120) hangUp.abort();
    },
  });
  await builds.classic(body, {}, { signal: hangUp.signal }).catch(() => undefined);
  expect(sent).toBe(120);
  await eventually(
    "its files are gone",
    () => readdirSync(join(daemon.dataRoot, "build/contexts")).length < 30,
    30_000,
  );
  expect(daemon.residentBytes() - before).toBeLessThan(120 << 20);
});
