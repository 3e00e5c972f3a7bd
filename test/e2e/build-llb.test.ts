import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { GatewayClient } from "../harness/gateway.ts";
import { Llb, type Output } from "../harness/llb.ts";

/** BuildKit's operations as clients send them that make their own: each kind of operation, on a real daemon. */
let daemon: TestDaemon;
let builds: Builds;
let client: GatewayClient;
let folder: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
  client = await GatewayClient.open(daemon.socket);
  folder = mkdtempSync(join(tmpdir(), "tug-llb-"));
}, 120_000);
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  builds[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
  await daemon.close();
});

const none = -1n;
const busybox = "docker.io/library/busybox:latest";
const copy = (input: bigint, from: bigint, src: string, dest: string, more: object = {}) => ({
  input,
  secondaryInput: from,
  output: 0n,
  copy: { src, dest, mode: -1, timestamp: none, createDestPath: true, followSymlink: true, ...more },
});
const mkfile = (input: bigint, path: string, data: string | Uint8Array, more: object = {}) => ({
  input,
  secondaryInput: none,
  output: 0n,
  mkfile: { path, data: Buffer.from(data as string), mode: 0o644, timestamp: none },
  ...more,
});

/** The tree of a result, at this machine. */
async function built(llb: Llb, result: Output, options: Parameters<GatewayClient["solve"]>[0] = {}) {
  const path = mkdtempSync(join(folder, "out-"));
  await client.solve(
    {
      ...options,
      exporters: [{ type: "local", attrs: {} }],
      outputs: { "0": { kind: "directory", path } },
    },
    llb.definition(result),
  );
  const text = (name: string) => readFileSync(join(path, name), "utf8");
  return { path, text, has: (name: string) => existsSync(join(path, name)) };
}

describe("a definition", () => {
  test("copies, makes, links and removes files", async () => {
    const context = builds.context({ "dir/a.txt": "a", "dir/b.log": "b", "dir/sub/c.txt": "c", other: "o" });
    const llb = new Llb();
    const local = llb.source("local://context", { "local.excludepatterns": '["other"]' });
    const odd = Buffer.from([0, 255, 10]);
    const made = llb.file(
      [local],
      [
        { ...mkfile(none, "/gone/file", "x"), output: none },
        { input: 1n, secondaryInput: none, output: none, rm: { path: "/gone", allowNotFound: false } },
        { ...mkfile(2n, "/bytes", odd), output: none },
        {
          input: 3n,
          secondaryInput: none,
          output: none,
          mkdir: { path: "/m/n", mode: 0o750, makeParents: true, timestamp: 1_000_000_000n },
        },
        {
          input: 4n,
          secondaryInput: none,
          output: none,
          symlink: { oldpath: "../bytes", newpath: "/m/link", timestamp: none },
        },
        { ...copy(5n, 0n, "/dir", "/whole"), output: none },
        { ...copy(6n, 0n, "/dir", "/m", { dirCopyContents: false }), output: none },
        {
          ...copy(7n, 0n, "/dir", "/texts", {
            dirCopyContents: true,
            includePatterns: ["**/*.txt", "missing"],
          }),
          output: none,
        },
        copy(8n, 0n, "/dir/*.log", "/logs/", { allowWildcard: true }),
      ],
    );
    const out = await built(llb, made, { directories: { context } });
    expect(out.has("gone")).toBe(false);
    expect(readFileSync(join(out.path, "bytes")).equals(odd)).toBe(true);
    expect(readFileSync(join(out.path, "m/link")).equals(odd)).toBe(true);
    expect(out.text("whole/sub/c.txt")).toBe("c");
    expect(out.text("m/dir/a.txt")).toBe("a");
    expect([out.text("texts/a.txt"), out.text("texts/sub/c.txt"), out.has("texts/b.log")]).toEqual([
      "a",
      "c",
      false,
    ]);
    expect(out.text("logs/b.log")).toBe("b");
    const missing = new Llb();
    const failing = missing.file(
      [missing.source("local://context")],
      [copy(none, 0n, "/none*", "/", { allowWildcard: true })],
    );
    await expect(built(missing, failing, { directories: { context } })).rejects.toThrow("not found");
  }, 120_000);

  test("runs programs with every kind of mount; all of a run's outputs come of one run", async () => {
    const llb = new Llb();
    const base = llb.image(busybox);
    const given = llb.file([], [mkfile(none, "/in/file", "given")]);
    const script = [
      "cat /given/file /run/secrets/token >/root.txt",
      'printf "%s" "$TOKEN" >>/root.txt',
      "date +%s%N | tee /out/stamp >/stamp",
      "touch /scratch/x; echo more >>/cache/log; wc -l </cache/log >/out/lines",
      "df /tmpfs | tail -1 | cut -c1-5 >/out/tmpfs",
      "! touch /given/no 2>/dev/null",
    ].join(" && ");
    const exec = {
      meta: { env: ["PATH=/bin"], cwd: "/", args: ["/bin/sh", "-c", script] },
      secretenv: [{ id: "token", name: "TOKEN" }],
    };
    const root = llb.shell(base, script, {
      inputs: [given],
      exec,
      mounts: [
        { input: none, dest: "/out", output: 1n },
        { input: 1n, dest: "/given", selector: "/in", readonly: true, output: none },
        { input: 1n, dest: "/scratch", output: none },
        { input: none, dest: "/cache", output: none, mountType: 3, cacheOpt: { id: "llb", sharing: 2 } },
        { input: none, dest: "/tmpfs", output: none, mountType: 4 },
        {
          input: none,
          dest: "/run/secrets/token",
          output: none,
          mountType: 1,
          secretOpt: { id: "token", mode: 0o400 },
        },
      ],
    });
    const both = llb.file(
      [root, { ...root, index: 1 }],
      [
        { ...copy(none, 0n, "/root.txt", "/"), output: none },
        { ...copy(2n, 0n, "/stamp", "/stamp"), output: none },
        copy(3n, 1n, "/", "/out", { dirCopyContents: true }),
      ],
    );
    const secrets = { token: "s3" };
    // The value is in no layer: a copy of it in the root is a leak, which is what the builder refuses; here it is too short to be one.
    const out = await built(llb, both, { secrets });
    expect(out.text("root.txt")).toBe("givens3s3");
    expect(out.text("out/stamp")).toBe(out.text("stamp"));
    expect([out.text("out/lines"), out.text("out/tmpfs")]).toEqual(["1\n", "tmpfs\n"]);
    // The other output, asked for later on its own: it was kept.
    const alone = await built(llb, { ...root, index: 1 }, { secrets });
    expect(alone.text("stamp")).toBe(out.text("out/stamp"));
    expect(alone.has("root.txt")).toBe(false);
  }, 120_000);

  test("merges trees and takes differences, removals included", async () => {
    const llb = new Llb();
    const base = llb.shell(llb.image(busybox), "mkdir /d && touch /d/kept /d/gone && echo 1 >/d/changed");
    const upper = llb.shell(base, "rm /d/gone && echo 2 >/d/changed && mkdir /new && echo n >/new/file");
    const changes = llb.diff(base, upper);
    const other = llb.file(
      [],
      [{ ...mkfile(none, "/d/gone", "of other"), output: none }, mkfile(0n, "/own", "o")],
    );
    const out = await built(llb, llb.merge(other, changes));
    expect([out.has("d/gone"), out.has("d/kept"), out.has("bin")]).toEqual([false, false, false]);
    expect([out.text("d/changed"), out.text("new/file"), out.text("own")]).toEqual(["2\n", "n\n", "o"]);
    const alone = await built(llb, changes);
    expect([alone.text("d/changed"), alone.has("own"), alone.has("d/kept")]).toEqual(["2\n", false, false]);
    const ran = await built(llb, llb.shell(llb.merge(base, other), "cat /own /d/gone >/result"));
    expect(ran.text("result")).toBe("oof other");
  }, 120_000);

  test("becomes an image with the layers of its base, and the config that its client gives it", async () => {
    const exporters = [{ type: "image", attrs: { name: "llb:1" } }];
    await client.drive({ exporters }, async (build) => {
      const { digest, config } = await build.image("busybox");
      expect(digest).toMatch(/^sha256:/);
      expect(JSON.parse(Buffer.from(config).toString()).rootfs.diff_ids).toHaveLength(1);
      const llb = new Llb();
      const made = llb.shell(llb.image(busybox), "echo hello >/hello", {
        exec: { meta: { args: ["/bin/sh", "-c", "echo hello >/hello"], cwd: "/", validExitCodes: [0] } },
      });
      const { ref } = await build.solve({ definition: llb.definition(made) });
      const id = ref?.id ?? "";
      expect(await build.readFile(id, "/hello")).toBe("hello\n");
      expect(await build.readFile(id, "/hello", { offset: 1n, length: 3n })).toBe("ell");
      expect(await build.stat(id, "hello")).toMatchObject({ path: "hello", size: 6n });
      expect((await build.readDir(id, "/", "h*")).map(({ path }) => path)).toEqual(["hello", "home"]);
      await expect(build.readFile(id, "/none")).rejects.toMatchObject({
        message: "open /none: no such file or directory",
        status: 5,
      });
      await expect(build.readFile("other", "/none")).rejects.toThrow("no such ref");
      const given = {
        architecture: "amd64",
        os: "linux",
        config: { Cmd: ["cat", "/hello"], Labels: { by: "llb" } },
      };
      return {
        ref: ref && { id, def: undefined },
        metadata: { "containerimage.config": Buffer.from(JSON.stringify(given)) },
      };
    });
    expect(await daemon.ok(["run", "--rm", "llb:1"])).toBe("hello");
    expect(
      await daemon.ok([
        "image",
        "inspect",
        "--format",
        "{{.Config.Labels.by}} {{len .RootFS.Layers}}",
        "llb:1",
      ]),
    ).toBe("llb 2");
  }, 120_000);

  test("is entitled to no more than was allowed, whatever it says", async () => {
    for (const [exec, entitlement] of [
      [{ network: 1 as const }, "network.host"],
      [{ security: 1 as const }, "security.insecure"],
      [{ cdiDevices: [{ name: "vendor.example/device=one" }] }, "device vendor.example/device=one"],
    ] as const) {
      const llb = new Llb();
      const { cdiDevices = [], ...rest } = { cdiDevices: [], ...exec };
      const meta = { args: ["/bin/true"], cwd: "/" };
      const result = llb.shell(llb.image(busybox), "true", {
        exec: { ...rest, cdiDevices: [...cdiDevices], meta },
      });
      await expect(built(llb, result)).rejects.toThrow(`${entitlement} is not allowed`);
    }
  }, 120_000);

  test("of others' directories, unknown operations and links out of the tree come to nothing", async () => {
    const llb = new Llb();
    await expect(
      built(llb, llb.source("local://context", { "local.session": "x".repeat(25) })),
    ).rejects.toThrow("no active session");
    await expect(built(llb, llb.source("file:///etc/passwd"))).rejects.toThrow(
      "is none that this builder has",
    );
    await expect(built(llb, llb.add([], { build: { builder: -1n } }))).rejects.toThrow("of the kind build");
    const link = llb.file(
      [],
      [
        {
          input: none,
          secondaryInput: none,
          output: none,
          symlink: { oldpath: "/etc", newpath: "/out", timestamp: none },
        },
        mkfile(0n, "/out/tug-llb-escape", "x"),
      ],
    );
    const out = await built(llb, link);
    expect(out.text("etc/tug-llb-escape")).toBe("x");
    expect(existsSync("/etc/tug-llb-escape")).toBe(false);
    await client.drive({}, async (build) => {
      const { ref } = await build.solve({
        definition: llb.definition(
          llb.file(
            [],
            [
              {
                input: none,
                secondaryInput: none,
                output: 0n,
                symlink: { oldpath: "/etc/hostname", newpath: "/h", timestamp: none },
              },
            ],
          ),
        ),
      });
      await expect(build.readFile(ref?.id ?? "", "/h")).rejects.toThrow("no such file or directory");
      return {};
    });
  }, 120_000);
});
