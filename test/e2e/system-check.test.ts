import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SystemCheckReport } from "../../src/base/spec/docker/extensions.ts";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";

const missing = TestRegistry.missing();
if (missing) console.log(`no system check against a registry: ${missing}`);

let daemon: TestDaemon;
let registry: TestRegistry;
let pulled = "";
let topLayer = "";
beforeAll(async () => {
  daemon = await TestDaemon.start();
  if (missing) return;
  registry = await TestRegistry.start();
  pulled = `${registry.address}/checked:1`;
  await daemon.ok(["run", "--name", "filled", "busybox", "sh", "-c", "head -c 200000 /dev/urandom >/filled"]);
  await daemon.ok(["commit", "filled", pulled]);
  await daemon.ok(["push", "-q", pulled]);
  await daemon.ok(["rm", "filled"]);
  await daemon.ok(["rmi", pulled]);
  await daemon.ok(["pull", "-q", pulled]);
  topLayer = await upperOf(pulled);
}, 120_000);
afterAll(async () => {
  await daemon.close();
  await registry?.close();
}, 120_000);

async function check(
  ...flags: string[]
): Promise<{ readonly code: number; readonly report: SystemCheckReport }> {
  const { code, stdout, stderr } = await daemon.tug(["system", "check", "--format", "json", ...flags]);
  expect(stderr).toBe("");
  return { code, report: JSON.parse(stdout) as SystemCheckReport };
}

const summary = ({ report }: { readonly report: SystemCheckReport }) =>
  report.Findings.map(({ Kind, Repaired }) => `${Kind} ${Repaired ? "repaired" : "open"}`).sort();

const blobPath = (digest: string) =>
  join(daemon.dataRoot, "content/blobs/sha256", digest.replace("sha256:", ""));

interface Documents {
  readonly id: string;
  readonly manifest: string;
  readonly layers: readonly string[];
}

async function documentsOf(image: string): Promise<Documents> {
  const [id, manifest] = (
    await daemon.ok(["image", "inspect", "-f", "{{.Id}} {{.Descriptor.digest}}", image])
  ).split(" ");
  if (!id || !manifest) throw new Error("no descriptor");
  const { layers } = JSON.parse(readFileSync(blobPath(manifest), "utf8")) as { layers: { digest: string }[] };
  return { id, manifest, layers: layers.map(({ digest }) => digest) };
}

function flipBit(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Does it while a step of a build runs on the image, and cancels the build. */
async function duringBuild<Value>(image: string, work: () => Promise<Value>): Promise<Value> {
  const build = Bun.spawn([tugBinary, "build", "--progress=plain", "-"], {
    env: { ...process.env, DOCKER_HOST: daemon.host },
    stdin: new Blob([`FROM ${image}\nRUN echo it be''gan && sleep 1000\n`]),
    stdout: "ignore",
    stderr: "pipe",
  });
  try {
    let told = "";
    for await (const chunk of build.stderr.values({ preventCancel: true })) {
      told += Buffer.from(chunk).toString();
      if (told.includes("it began")) return await work();
    }
    throw new Error(`the step never ran:\n${told}`);
  } finally {
    build.kill("SIGINT");
    await build.exited;
  }
}

const upperOf = (image: string) =>
  daemon.ok(["image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", image]);

test("a sound store is told as such, with exit code 0", async () => {
  const { code, report } = await check();
  expect(report.Findings).toEqual([]);
  expect(code).toBe(0);
  expect(report.Checked).toMatchObject({ Databases: 3, Containers: 0 });
  const { stdout } = await daemon.tug(["system", "check", "--quick"]);
  expect(stdout).toMatch(
    /^Looked at 3 databases, \d+ blobs, .* \(records and sizes only\): everything is sound\n$/,
  );
});

test.skipIf(missing !== undefined)(
  "damaged, missing and short blobs are found, fetched again from where they were pulled, and the config from the record",
  async () => {
    const { id, manifest, layers } = await documentsOf(pulled);
    const [base, top] = layers;
    if (!base || !top) throw new Error("two layers were expected");
    flipBit(blobPath(base));
    truncateSync(blobPath(top), 100);
    rmSync(blobPath(id));
    rmSync(blobPath(manifest));
    // A flipped bit is seen by reading it all only; without the manifest nothing names the layers.
    expect((await check("--quick")).code).toBe(1);
    const { code, report } = await check();
    expect(code).toBe(1);
    expect(report.Findings.every(({ Remedy, Consequence }) => Remedy !== "" && Consequence !== "")).toBe(
      true,
    );
    const { stdout } = await daemon.tug(["system", "check"]);
    expect(stdout).toContain(`PROBLEM   blob ${id}`);
    expect(stdout).toContain(`consequence: image ${pulled} cannot be pushed or saved`);
    const repaired = await check("--repair");
    expect(summary(repaired)).toEqual(["blob repaired", "blob repaired", "blob repaired", "blob repaired"]);
    expect(repaired.code).toBe(0);
    const sound = await check();
    expect(sound.report.Findings).toEqual([]);
    for (const digest of [id, manifest, base, top]) expect(existsSync(blobPath(digest))).toBe(true);
  },
  60_000,
);

test.skipIf(missing !== undefined)(
  "a layer with short files is unpacked again, but not under a running container or build",
  async () => {
    const file = join(await upperOf(pulled), "filled");
    truncateSync(file, 10);
    await daemon.ok(["run", "-d", "--name", "runs", pulled, "sleep", "1000"]);
    const busy = await check("--repair");
    expect(summary(busy)).toEqual(["layer open"]);
    expect(busy.report.Findings[0]).toMatchObject({ Outcome: "it is in use: stop runs first" });
    await daemon.ok(["rm", "-f", "runs"]);
    const building = await duringBuild(pulled, () => check("--repair"));
    expect(building.report.Findings).toMatchObject([
      { Kind: "layer", Outcome: "it is in use: let the running builds end first" },
    ]);
    await eventually("the build has let go of it, and it is repaired", async () => {
      const repaired = await check("--repair");
      expect(repaired.report.Findings.map(({ Kind }) => Kind)).toEqual(["layer"]);
      return repaired.code === 0;
    });
    expect((await check()).code).toBe(0);
    expect(await daemon.ok(["run", "--rm", pulled, "wc", "-c", "/filled"])).toBe("200000 /filled");
  },
  60_000,
);

test("volumes and what lies in them are told of, never touched", async () => {
  await daemon.ok(["volume", "create", "lost"]);
  rmSync(join(daemon.dataRoot, "volumes/lost"), { recursive: true });
  const stray = join(daemon.dataRoot, "volumes/stray/_data");
  mkdirSync(stray, { recursive: true });
  writeFileSync(join(stray, "file"), "mine");
  const { code, report } = await check("--repair");
  expect(code).toBe(1);
  expect(report.Findings.map(({ Kind, Name }) => `${Kind} ${Name}`).sort()).toEqual([
    "volume lost",
    "volume stray",
  ]);
  expect(readFileSync(join(stray, "file"), "utf8")).toBe("mine");
  await daemon.ok(["volume", "create", "stray"]);
  await daemon.ok(["volume", "rm", "-f", "lost"]);
  expect((await check()).code).toBe(0);
  expect(await daemon.ok(["run", "--rm", "-v", "stray:/v", "busybox", "cat", "/v/file"])).toBe("mine");
  await daemon.ok(["volume", "rm", "stray"]);
}, 120_000);

test.skipIf(missing !== undefined)(
  "after the machine went down under the daemon the next start brings back what is short",
  async () => {
    const { layers } = await documentsOf(pulled);
    await daemon.crash();
    truncateSync(blobPath(layers[1] ?? ""), 0);
    rmSync(join(topLayer, ".."), { recursive: true });
    writeFileSync(join(daemon.dataRoot, "in-use"), "another boot\n");
    await daemon.up();
    await eventually("it has looked through", () => daemon.log.includes("looked through what is stored"));
    const { code, report } = await check();
    expect(report.Findings).toEqual([]);
    expect(code).toBe(0);
    expect(await daemon.ok(["run", "--rm", pulled, "wc", "-c", "/filled"])).toBe("200000 /filled");
  },
  60_000,
);
