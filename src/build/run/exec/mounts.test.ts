import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import type { ExecMount } from "../../graph.ts";
import type { DuplexBytes } from "../../session.ts";
import { ExecBench } from "./testdata/exec-bench.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

let bench: ExecBench;
let files: ChainId;
beforeAll(async () => {
  bench = await ExecBench.open();
  files = await bench.tree({ "src/a": "A", "src/deep/b": "B", link: "-> src/deep", out: "-> /etc/passwd" });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const bind = (target: string, source: string, readonly = true): ExecMount => ({
  kind: "bind",
  target,
  from: 1,
  source,
  readonly,
});
const cache = (more: Partial<Extract<ExecMount, { kind: "cache" }>>): ExecMount => ({
  kind: "cache",
  target: "/c",
  id: "c",
  sharing: "shared",
  from: undefined,
  source: "",
  readonly: false,
  mode: 0o755,
  uid: 0,
  gid: 0,
  ...more,
});
const secret = (more: Partial<Extract<ExecMount, { kind: "secret" }>> = {}): ExecMount => ({
  kind: "secret",
  target: "/run/secrets/s",
  env: undefined,
  id: "s",
  required: true,
  mode: 0o400,
  uid: 0,
  gid: 0,
  ...more,
});
const value = "hunter2-and-some-more\n";
const session = { secret: async (id: string) => (id === "s" ? Buffer.from(value) : undefined) };
const failure = async (work: Promise<unknown>) => messageOf(await work.catch((error: unknown) => error));

test("bind mounts show a path of an input, follow its links inside it, and are read-only", async () => {
  const { snapshot, stdout } = await bench.run("cat /m/a /m/deep/b /one /l/b; touch /m/x || echo refused", {
    inputs: [files],
    mounts: [bind("/m", "/src"), bind("/one", "src/a"), bind("/l", "link")],
  });
  expect(stdout).toBe("ABABrefused\n");
  expect(bench.layer(snapshot)).toEqual([]);
});

test("what is written to a writable bind mount is thrown away, also when the mount is used twice", async () => {
  const mounts = [bind("/m", "/", false), bind("/n", "/", false)];
  const { snapshot, stdout } = await bench.run(
    "echo new >/m/src/a; cat /m/src/a /n/src/a; rm -r /n/src; ls /m",
    {
      inputs: [files],
      mounts,
    },
  );
  expect(stdout).toBe("new\nAlink\nout\nsrc\n");
  expect(bench.layer(snapshot)).toEqual([]);
  expect((await bench.run("cat /m/src/a", { inputs: [files], mounts })).stdout).toBe("A");
});

test("a source that is not there is told by name", async () => {
  const missing = bench.run("true", { inputs: [files], mounts: [bind("/m", "nothing/here")] });
  expect(await failure(missing)).toEndWith('"/nothing/here": not found');
});

test("a tmpfs has the size that was asked for and leaves nothing", async () => {
  const { snapshot, stdout } = await bench.run("echo x >/t/f; stat -f -c '%b %s' /t", {
    mounts: [{ kind: "tmpfs", target: "/t", size: 1 << 20 }],
  });
  const [blocks = 0, size = 0] = stdout.split(" ").map(Number);
  expect(blocks * size).toBe(1 << 20);
  expect(bench.layer(snapshot)).toEqual([]);
});

test("a cache mount outlives its step, has mode and owner, and is not in the layer", async () => {
  const mounts = [cache({ id: "kept", mode: 0o750, uid: 33, gid: 33 })];
  const first = await bench.run("stat -c '%a %u %g' /c; echo kept >/c/file", { mounts });
  expect(first.stdout).toBe("750 33 33\n");
  expect(bench.layer(first.snapshot)).toEqual([]);
  expect((await bench.run("cat /c/file", { mounts })).stdout).toBe("kept\n");
  expect((await bench.run("ls /c", { mounts: [cache({ id: "other" })] })).stdout).toBe("");
  expect(
    (
      await bench.run("touch /c/x || cat /c/file", {
        mounts: [cache({ id: "kept", mode: 0o750, uid: 33, gid: 33, readonly: true })],
      })
    ).stdout,
  ).toBe("kept\n");
});

test("a cache begins with a directory of an input and goes its own way from there", async () => {
  const mounts = [cache({ id: "seeded", from: 1, source: "src" })];
  expect((await bench.run("cat /c/deep/b; echo mine >/c/deep/b", { inputs: [files], mounts })).stdout).toBe(
    "B",
  );
  expect((await bench.run("cat /c/deep/b", { inputs: [files], mounts })).stdout).toBe("mine\n");
});

test("a source in an empty cache is made and shared by those who name it", async () => {
  const sub = [cache({ id: "subs", source: "a/b" })];
  await bench.run("echo sub >/c/f", { mounts: sub });
  expect((await bench.run("cat /c/a/b/f", { mounts: [cache({ id: "subs" })] })).stdout).toBe("sub\n");
});

test("a locked cache is had by one step at a time, a private one is another directory", async () => {
  const script = "[ ! -e /c/busy ] && touch /c/busy && sleep 0.1 && rm /c/busy";
  const locked = () => bench.run(script, { mounts: [cache({ id: "l", sharing: "locked" })] });
  await Promise.all([locked(), locked(), locked()]);
  const own = () => bench.run(script, { mounts: [cache({ id: "p", sharing: "private" })] });
  await Promise.all([own(), own()]);
  const list = await bench.deps.caches.list();
  expect(list.filter(({ id }) => id === "l").length).toBe(1);
  expect(list.filter(({ id }) => id === "p").length).toBeGreaterThan(0);
});

test("a secret is a file of its mode and owner, or in the environment, and nowhere in the layer", async () => {
  const { snapshot, stdout } = await bench.run(
    "stat -c '%a %u %g' /run/secrets/s; cat /run/secrets/s; echo $TOKEN; echo x >/run/secrets/s || true; touch /seen",
    {
      session,
      mounts: [secret({ mode: 0o440, uid: 33, gid: 44 }), secret({ target: undefined, env: "TOKEN" })],
    },
  );
  expect(stdout).toBe(`440 33 44\n${value}${value}`);
  expect(bench.layer(snapshot)).toEqual(["seen"]);
});

test("a secret or an agent that is missing fails a step that needs it and is left out for one that does not", async () => {
  expect(await failure(bench.run("true", { session, mounts: [secret({ id: "none" })] }))).toBe(
    "secret none: not found",
  );
  const ssh = {
    kind: "ssh",
    target: "/agent",
    id: "default",
    required: true,
    mode: 0o600,
    uid: 0,
    gid: 0,
  } as const;
  expect(await failure(bench.run("true", { mounts: [ssh] }))).toBe(
    'no SSH key "default" forwarded from the client',
  );
  const optional = [secret({ id: "none", required: false }), { ...ssh, required: false }];
  expect(
    (
      await bench.run("ls /run /agent 2>/dev/null; env | grep SSH || echo unset", {
        session,
        mounts: optional,
      })
    ).stdout,
  ).toBe("unset\n");
});

test("a step fails when a secret's value is in what it wrote, wherever and however", async () => {
  const tries: readonly (readonly [string, string])[] = [
    ["cp /run/secrets/s /leak", "/leak"],
    ["{ head -c 1048570 /dev/zero; cat /run/secrets/s; } >/big", "/big"],
    ["mkdir /d; echo x >/d/pre; printf x | cat - /run/secrets/s | base64 >/d/enc", "/d/enc"],
    ["ln -s $(cat /run/secrets/s) /ln", "the link /ln"],
    ["touch /hunter2-and-some-more.txt", "the name of /hunter2-and-some-more.txt"],
  ];
  for (const [script, where] of tries) {
    const message = await failure(bench.run(script, { session, mounts: [secret()] }));
    expect(message).toStartWith(`secret s: its value is in ${where} after the step`);
    expect(message).not.toContain("hunter2-and-some-more ");
  }
  await bench.run("cp /run/secrets/s /gone; rm /gone; cp /run/secrets/s /dev/shm/x", {
    session,
    mounts: [secret()],
  });
});

test("an agent's socket carries bytes both ways, whoever may use it, and SSH_AUTH_SOCK names it", async () => {
  const payload = randomBytes(300_000);
  const got = createHash("sha256");
  const ssh = async (): Promise<DuplexBytes> => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const ended = Promise.withResolvers<void>();
    void (async () => {
      await ended.promise;
      await writer.write(Buffer.from("answer\n"));
      await writer.close();
    })();
    return {
      readable,
      write: async (bytes) => void got.update(bytes),
      end: async () => ended.resolve(),
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  const tools = await bench.tree({}, (upper) => {
    writeFileSync(join(upper, "data"), payload);
    copyProgram("/usr/bin/socat", upper);
  });
  const target = "/run/buildkit/ssh_agent.0";
  const socat = "/m/lib/ld.so --library-path /m/lib /m/socat -t 20 - UNIX:$SSH_AUTH_SOCK </m/data";
  const { stdout, snapshot } = await bench.run(`stat -c '%a %u' $SSH_AUTH_SOCK; ${socat}`, {
    op: { user: "web" },
    session: { hasSsh: async () => true, ssh },
    mounts: [
      { kind: "ssh", target, id: "default", required: true, mode: 0o600, uid: 33, gid: 0 },
      bind("/m", "/"),
    ],
    inputs: [tools],
  });
  expect(stdout).toBe("600 33\nanswer\n");
  expect(got.digest("hex")).toBe(createHash("sha256").update(payload).digest("hex"));
  expect(bench.layer(snapshot)).toEqual([]);
});

/** A program of this machine with the libraries that it needs. */
function copyProgram(path: string, root: string): void {
  copyFileSync(path, join(root, "socat"));
  mkdirSync(join(root, "lib"));
  for (const line of Bun.spawnSync(["ldd", path]).stdout.toString().split("\n")) {
    const library = /(\/\S+)/.exec(line)?.[1];
    if (library === undefined) continue;
    copyFileSync(library, join(root, "lib", basename(library)));
    if (basename(library).startsWith("ld-linux")) copyFileSync(library, join(root, "lib/ld.so"));
  }
}
