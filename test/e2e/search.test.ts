import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { run, TestDaemon } from "../harness/daemon.ts";
import { publishIndex } from "../harness/multi-platform.ts";
import { TestRegistry } from "../harness/registry.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start({ busybox: false });
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const programs = ["/usr/bin/docker", "/usr/local/bin/docker"].filter((path) => existsSync(path));

describe("search", () => {
  test("a registry with Docker's search answers in Docker's columns, to docker's clients too", async () => {
    const asked: string[] = [];
    const results = [
      {
        name: "team/app",
        description: "An   app\nwith a rather long description of what it is for",
        star_count: 7,
      },
      { name: "team/app-old", description: "", star_count: 1, is_official: true },
    ];
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const { pathname, search } = new URL(request.url);
        asked.push(pathname + search);
        if (pathname !== "/v1/search") return new Response("{}");
        return Response.json({ num_results: results.length, query: "app", results });
      },
    });
    const term = `127.0.0.1:${server.port}/app`;
    const out = await daemon.ok(["search", "--limit", "10", term]);
    expect(asked.at(-1)).toBe("/v1/search?q=app&n=10");
    expect(out.replaceAll(/ +$/gm, "")).toBe(
      [
        "NAME           DESCRIPTION                                     STARS     OFFICIAL",
        "team/app       An   app with a rather long description of w…   7",
        "team/app-old                                                   1         [OK]",
      ].join("\n"),
    );
    expect(await daemon.ok(["search", "-f", "stars=3", "--format", "{{.Name}}", term])).toBe("team/app");
    expect(await daemon.ok(["search", "-f", "is-official=true", "--format", "{{.Name}}", term])).toBe(
      "team/app-old",
    );
    expect((await daemon.tug(["search", "--limit", "101", term])).stderr).toContain(
      "is outside the range of [1, 100]",
    );
    for (const program of programs) {
      const theirs = await run([program, "search", "--format", "{{.Name}} {{.StarCount}}", term], {
        env: { DOCKER_HOST: daemon.host },
      });
      expect(theirs.stdout).toBe("team/app 7\nteam/app-old 1\n");
      if (program === "/usr/bin/docker") continue; // a column more
      const table = await run([program, "search", term], { env: { DOCKER_HOST: daemon.host } });
      expect(table.stdout).toBe(`${out}\n`);
    }
  });

  const missing = TestRegistry.missing();
  if (missing) console.log(`skipped: search in a catalog: ${missing}`);
  test.skipIf(missing !== undefined)(
    "one without has its catalog looked through, with credentials",
    async () => {
      await using registry = await opened({ alice: "s3cret" });
      const env = { DOCKER_CONFIG: `${daemon.root}/docker-config` };
      const term = `${registry.address}/nest`;
      const refused = await daemon.tug(["search", term], { env });
      expect(refused.code).toBe(1);
      await daemon.ok(["login", "-u", "alice", "--password-stdin", registry.address], {
        env,
        input: "s3cret",
      });
      expect(await daemon.ok(["search", "--format", "{{.Name}}", term], { env })).toBe("");
      await using open = await opened();
      await publishIndex(open.address, "deep/nested/name", "1", { amd64: new Uint8Array(1024) });
      expect(await daemon.ok(["search", "--format", "{{.Name}}", `${open.address}/nest`])).toBe(
        "deep/nested/name",
      );
    },
  );

  test("a registry that is not there is told", async () => {
    const dead = await daemon.tug(["search", "127.0.0.1:1/x"]);
    expect(dead.code).toBe(1);
    expect(dead.stderr).toContain("connection refused");
  });
});

async function opened(
  users?: Readonly<Record<string, string>>,
): Promise<{ readonly address: string } & AsyncDisposable> {
  const registry = await TestRegistry.start(users ? { users } : {});
  return { address: registry.address, [Symbol.asyncDispose]: () => registry.close() };
}

test("import takes a file system from an address, and says when there is none", async () => {
  const folder = `${daemon.root}/rootfs`;
  await run(["mkdir", "-p", folder]);
  await Bun.write(`${folder}/file`, "x");
  const tar = Bun.spawnSync(["tar", "-C", folder, "-czf", "-", "."]).stdout;
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === "/root.tar.gz"
        ? new Response(tar)
        : new Response("no", { status: 404 }),
  });
  const url = `http://127.0.0.1:${server.port}/root.tar.gz`;
  const platform = ["--platform", "linux/arm64"];
  const out = await daemon.ok(["import", "-m", "fetched", "-c", "CMD x", ...platform, url, "fetched:1"]);
  expect(out).toMatch(new RegExp(`^Downloading from ${url.replaceAll(".", "\\.")}\\nsha256:[0-9a-f]{64}$`));
  expect(
    await daemon.ok(["inspect", "-f", "{{.Architecture}} {{.Comment}} {{.Config.Cmd}}", "fetched:1"]),
  ).toBe("arm64 fetched [/bin/sh -c x]");
  const gone = await daemon.tug(["import", `http://127.0.0.1:${server.port}/nosuch`, "gone:1"]);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toContain("404 Not Found");
  await daemon.ok(["rmi", "fetched:1"]);
});
