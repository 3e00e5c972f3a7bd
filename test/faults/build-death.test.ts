import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Builds, type Files } from "../harness/builds.ts";
import { eventually, TestDaemon } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

/** Kills of the daemon while it builds. More of them is a longer look: TUG_KILLS=50. */
const kills = Number(process.env["TUG_KILLS"] ?? 2) + 1;
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
  await daemon.stopAndClose();
});

/** Every kind of step, `round` makes all of them new. */
function story(round: string): Files {
  const Dockerfile = `FROM busybox AS one
RUN --mount=type=cache,target=/cache echo ${round} >>/cache/log && head -c 2000000 /dev/urandom >/noise
RUN --mount=type=tmpfs,target=/t --mount=type=bind,source=data,target=/d cp -r /d /copy && wget -T 1 -q http://127.0.0.1:1/ || true
FROM busybox AS two
COPY data /data
FROM busybox
COPY --from=one /copy /copy
COPY --from=one /noise /noise
COPY --link data /linked
RUN --network=none mkdir /many && for i in $(seq 100); do echo ${round} >/many/$i; done
WORKDIR /made/for/${round}
RUN rm -r /many
`;
  const files: Record<string, string> = { Dockerfile };
  for (let i = 0; i < 100; i++) files[`data/${i % 7}/f${i}`] = `${round} ${i}\n`.repeat(500);
  return files;
}

/** Bytes below a directory as the disk has them, but for databases: they give back what they need no more when they need it again. */
function bytesOf(path: string): number {
  const { stdout } = Bun.spawnSync(["du", "-sk", "--exclude=*.db*", path]);
  return Number.parseInt(stdout.toString(), 10) * 1024;
}

const layers = () => readdirSync(join(daemon.dataRoot, "overlay2")).sort();
const nothingRuns = () =>
  eventually(
    "no process of an earlier daemon's builds",
    () =>
      processes().every(
        ({ pid, command }) =>
          pid === daemon.pid || !/conmon|crun|runc/.test(command) || !command.includes(`${daemon.root}/`),
      ),
    30_000,
  );

/** What builds have left that a prune of everything must give back. */
async function pruned(): Promise<void> {
  await daemon.ok(["builder", "prune", "-af"], { timeout: 60_000 });
}

const fault = missing ? test.skip : test;

fault("a daemon killed while it builds leaves nothing, and all of the disk comes back", async () => {
  await pruned();
  const [before, layersBefore] = [bytesOf(daemon.dataRoot), layers()];
  const started = performance.now();
  const first = await builds.buildkit(story("first"), ["-t", "made"]);
  expect(first.code, first.stderr).toBe(0);
  const took = performance.now() - started;
  for (let round = 0; round < kills; round++) {
    const context = builds.context(story(`round-${round}`));
    const after = (took * (round + Math.random())) / kills;
    const building = builds.buildkit(context, ["-t", "made"]);
    await Bun.sleep(after);
    await daemon.crash();
    const cut = await building;
    await daemon.up();
    await daemon
      .assertClean()
      .then(nothingRuns)
      .catch((error: unknown) => {
        throw new Error(`killed after ${after.toFixed(0)} of ${took.toFixed(0)} ms, ${cut.code}: ${error}`, {
          cause: error,
        });
      });
    // What was there works, and the build that was cut short works now.
    expect(await daemon.ok(["run", "--rm", "made", "ls", "/"])).toContain("noise");
    const again = await builds.buildkit(context, ["-t", "made"]);
    expect(again.code, again.stderr).toBe(0);
    expect(await daemon.ok(["run", "--rm", "made", "ls", "/made/for"])).toBe(`round-${round}`);
  }
  for (const id of (await daemon.ok(["images", "-aq"])).split("\n"))
    if ((await daemon.ok(["image", "inspect", "-f", "{{.RepoTags}}", id])) !== "[busybox:latest]")
      await daemon.ok(["rmi", "-f", id]);
  await pruned();
  expect(layers()).toEqual(layersBefore);
  expect(readdirSync(join(daemon.dataRoot, "build/scratch"))).toEqual([]);
  const left = bytesOf(daemon.dataRoot) - before;
  expect(left).toBeLessThan(200_000);
});
