import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";

/** Testcontainers as its users run it: with the container that removes what a suite leaves, which is of our own making here, as there is no Docker Hub. */
let daemon: TestDaemon;
let folder: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  folder = mkdtempSync(join(tmpdir(), "tug-testcontainers-reaper-"));
  await importReaper("reaper:v1");
}, 180_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  const left = await list("ps", "-aq");
  if (left.length > 0) await daemon.tug(["rm", "-f", "-v", ...left]);
  // At its end the builder lets go of what it keeps for the next build.
  const code = await daemon.stop();
  await daemon.close();
  expect(code).toBe(0);
});

/** An image with Bun, the libraries it needs, and the reaper's program. */
async function importReaper(name: string): Promise<void> {
  const linked = (await run(["ldd", process.execPath])).stdout;
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path.slice(1));
  const bun = process.execPath.slice(1);
  const files = ["-C", "/", bun, ...libraries, "-C", join(import.meta.dir, "testdata"), "reaper.ts"];
  const tar = Bun.spawn(["tar", "-ch", `--transform=s,^${bun}$,bin/bun,`, ...files], { stdout: "pipe" });
  const root = new Uint8Array(await new Response(tar.stdout).arrayBuffer());
  expect(await tar.exited).toBe(0);
  const changes = ['CMD ["/bin/bun", "/reaper.ts"]', "LABEL org.testcontainers.ryuk=true"];
  await daemon.ok(["import", ...changes.flatMap((change) => ["--change", change]), "-", name], {
    input: root,
    // A hundred megabytes.
    timeout: 120_000,
  });
}

const list = async (...args: string[]) => (await daemon.ok(args)).split("\n").filter(Boolean).sort();
const missing = TestRegistry.missing();
if (missing) console.log(`skipped: ${missing}`);

test.skipIf(missing !== undefined)(
  "what suites leave when they end, or are killed, is removed once the last of them is gone",
  async () => {
    await using cleanUp = new AsyncDisposableStack();
    const registry = await TestRegistry.start({ users: { tester: "secret" } });
    cleanUp.defer(() => registry.close());
    const auth = Buffer.from("tester:secret").toString("base64");
    const auths = JSON.stringify({ auths: { [registry.address]: { auth } } });
    writeFileSync(join(folder, "config.json"), auths);
    const pulled = `${registry.address}/team/image:v1`;
    await daemon.ok(["tag", "busybox", pulled]);
    await daemon.ok(["push", pulled], { env: { DOCKER_CONFIG: folder } });
    await daemon.ok(["rmi", pulled]);
    const context = join(folder, "context");
    mkdirSync(context);
    const lines = [
      "FROM busybox",
      "RUN echo made >/made",
      "VOLUME /data",
      'CMD ["sh", "-c", "cat /made; exec sleep 1000"]',
    ];
    writeFileSync(join(context, "Dockerfile"), lines.join("\n"));

    /** Starts a suite, and resolves with it and its containers once they run. */
    const start = async () => {
      const suite = Bun.spawn(
        [process.execPath, join(import.meta.dir, "testdata/suite.ts"), context, pulled],
        {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "pipe",
          env: {
            ...process.env,
            DOCKER_HOST: daemon.host,
            DOCKER_AUTH_CONFIG: auths,
            RYUK_CONTAINER_IMAGE: "reaper:v1",
            TESTCONTAINERS_HOST_OVERRIDE: "localhost",
            TMPDIR: folder,
          },
        },
      );
      cleanUp.defer(async () => {
        suite.kill("SIGKILL");
        await suite.exited;
      });
      const complaints = new Response(suite.stderr).text();
      let said = "";
      for await (const chunk of suite.stdout) {
        said += new TextDecoder().decode(chunk);
        if (said.includes("\n")) break;
      }
      const containers = said.trim().split(" ");
      if (!/^[0-9a-f]{64} [0-9a-f]{64}$/.test(said.trim())) {
        suite.kill("SIGKILL");
        throw new Error(`the suite said ${JSON.stringify(said)}, and why:\n${await complaints}`);
      }
      return { suite, containers };
    };

    const stranger = await daemon.ok([
      "run",
      "-d",
      "--label",
      "org.testcontainers=true",
      "busybox",
      "sleep",
      "1000",
    ]);
    const images = await list("images", "-aq", "--no-trunc");
    const first = await start();
    const second = await start();
    const reaper = await daemon.ok([
      "ps",
      "-q",
      "--no-trunc",
      "--filter",
      "label=org.testcontainers.ryuk=true",
    ]);
    const running = () => list("ps", "-aq", "--no-trunc");
    expect(await running()).toEqual([...first.containers, ...second.containers, reaper, stranger].sort());
    expect((await list("network", "ls", "-qf", "type=custom")).length).toBe(2);
    expect((await list("volume", "ls", "-q")).length).toBe(2);

    first.suite.kill("SIGKILL");
    await first.suite.exited;
    await daemon.ok(["exec", second.containers[0] ?? "", "cat", "/made"]);
    expect((await running()).length).toBe(6);

    await second.suite.stdin.end();
    expect(await second.suite.exited).toBe(0);
    const gone = async () => (await running()).length === 1;
    await eventually("only the container of somebody else is left", gone, 60_000);
    expect(await running()).toEqual([stranger]);
    expect(await list("network", "ls", "-qf", "type=custom")).toEqual([]);
    expect(await list("volume", "ls", "-q")).toEqual([]);
    await daemon.ok(["rmi", pulled]);
    expect(await list("images", "-aq", "--no-trunc")).toEqual(images);
  },
  180_000,
);
