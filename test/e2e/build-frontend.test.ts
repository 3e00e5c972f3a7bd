import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Builds } from "../harness/builds.ts";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { GatewayClient } from "../harness/gateway.ts";

/** Frontends that are images: programs that plan a build and are spoken with over their standard streams. */
let daemon: TestDaemon;
let builds: Builds;
let client: GatewayClient;
const source = "test/frontend:1";
beforeAll(async () => {
  daemon = await TestDaemon.start({ config: { builder: { frontends: ["test/frontend", "busybox"] } } });
  builds = new Builds(daemon);
  client = await GatewayClient.open(daemon.socket);
  await daemon.ok(["build", "-q", "-t", source, await frontendContext()], { timeout: 60_000 });
}, 120_000);
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  builds[Symbol.dispose]();
  await daemon.close();
});

/** The program with the libraries that it needs, and nothing else. */
async function frontendContext(): Promise<string> {
  const context = builds.context({});
  const program = join(context, "frontend");
  const text = resolve(import.meta.dir, "../harness/testdata/frontend.ts");
  const made = await run([process.execPath, "build", "--compile", text, "--outfile", program], {
    timeout: 60_000,
  });
  if (made.code !== 0) throw new Error(made.stderr);
  const libraries = (await run(["ldd", program])).stdout.match(/\/[^\s]+\.so[^\s]*/g) ?? [];
  for (const library of new Set(libraries)) {
    mkdirSync(join(context, "root", dirname(library)), { recursive: true });
    copyFileSync(library, join(context, "root", library));
  }
  writeFileSync(
    join(context, "Dockerfile"),
    'FROM scratch\nCOPY root /\nCOPY frontend /\nLABEL moby.buildkit.frontend.caps="moby.buildkit.frontend.inputs"\nENTRYPOINT ["/frontend"]\n',
  );
  return context;
}

const exporters = [{ type: "image", attrs: { name: "made:1" } }];

/** Any frontend of this daemon: its builds' processes are in cgroups below the daemon's. */
const running = async () => {
  const pids = (await run(["pgrep", "-f", "^/frontend"])).stdout.split("\n").filter((pid) => pid !== "");
  return pids.some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(daemon.instance);
    } catch (error) {
      // Gone before it was opened, or before it was read.
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
      throw error;
    }
  });
};

describe("a frontend's image", () => {
  test("plans a build: reads the client's files, has steps made, and says what the image is", async () => {
    const context = builds.context({ Buildfile: "echo one >/made\necho two >>/made\n" });
    await client.build({ directories: { context }, exporters }, { source });
    expect(await daemon.ok(["run", "--rm", "made:1"])).toBe("one\ntwo");
    const seen = JSON.parse(
      await daemon.ok(["image", "inspect", "--format", "{{.Config.Labels.seen}}", "made:1"]),
    );
    // As a RUN is confined, and without a network.
    expect(seen).toEqual({ interfaces: ["lo"], capabilities: "00000000a80425fb", workers: 1 });
    // By the line that Dockerfiles have for it, whatever the file is then.
    const named = builds.context({ Dockerfile: `# syntax=${source}\necho three >/made\n` });
    await daemon.ok(["build", "-q", "-t", "made:2", named], { timeout: 60_000 });
    expect(await daemon.ok(["run", "--rm", "made:2"])).toBe("three");
  }, 120_000);

  test("may leave it to the built-in frontend, and is asked questions", async () => {
    const context = builds.context({ Dockerfile: "FROM busybox\nRUN echo plain >/made\nCMD cat /made\n" });
    const directories = { context, dockerfile: context };
    await client.build({ directories, exporters }, { source, mode: "dockerfile" });
    expect(await daemon.ok(["run", "--rm", "made:1"])).toBe("plain");
    await client.drive({ directories }, async (build) => {
      const { metadata } = await build.solve({
        frontend: "gateway.v0",
        frontendOpt: { source, requestid: "frontend.lint" },
      });
      expect(Buffer.from(metadata["result.txt"] ?? []).toString()).toBe("asked\n");
      return {};
    });
  }, 120_000);

  test("that fails, ends, speaks nonsense or asks itself for ever is told of, and nothing of it stays", async () => {
    const context = builds.context({ Buildfile: "exit 4\n" });
    const tried = (attrs: Record<string, string>) =>
      client.build({ directories: { context }, exporters }, { source, ...attrs });
    await expect(tried({})).rejects.toThrow("exit code: 4");
    await expect(tried({ filename: "none" })).rejects.toThrow(
      "frontend: open none: no such file or directory",
    );
    await expect(tried({ mode: "exit" })).rejects.toThrow("exit code: 3");
    await expect(tried({ mode: "silent" })).rejects.toThrow("ended without a result");
    await expect(tried({ mode: "garbage" })).rejects.toThrow("ended without a result");
    await expect(tried({ mode: "host" })).rejects.toThrow("network.host is not allowed");
    await expect(tried({ "frontend.caps": "other.cap" })).rejects.toThrow(
      "unsupported frontend capability other.cap",
    );
    await expect(tried({ source: "busybox" })).rejects.toThrow("/run");
    await eventually("frontends ended", async () => !(await running()));
  }, 120_000);

  test("is asked only so deep", async () => {
    const context = builds.context({});
    const nested = client.build({ directories: { context } }, { source, mode: "nested" });
    await expect(nested).rejects.toThrow("frontends ask each other 8 deep");
  }, 120_000);

  test("ends with its client", async () => {
    const stop = new AbortController();
    const hanging = client.build({}, { source, mode: "hang" }, stop.signal).catch((error: unknown) => error);
    await eventually("the frontend runs", running);
    stop.abort(new Error("enough"));
    await hanging;
    await eventually("the frontend ended", async () => !(await running()));
  }, 120_000);
});
