import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf } from "../../src/base/lib/errors.ts";
import type { ChainId } from "../../src/base/lib/ids.ts";
import type { ExecMount } from "../../src/build/graph.ts";
import { ExecBench } from "../../src/build/run/exec/testdata/exec-bench.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

/**
 * CVE-2024-23651, -23652, -23653 (BuildKit), CVE-2024-1753, -9407, -9675, -11218 (buildah, podman): steps whose mounts are to lead out of
 * them. The host has a canary that no step may see, change or remove. TUG_RACE_ROUNDS=500 looks harder.
 */
const rounds = Number(process.env["TUG_RACE_ROUNDS"] ?? 15);
const marker = "SECRET OF THE HOST";

let bench: ExecBench;
let canary: string;
let evil: ChainId;
beforeAll(async () => {
  bench = await ExecBench.open();
  canary = mkdtempSync("/tmp/tug-e2e-canary-");
  mkdirSync(join(canary, "secrets"));
  for (const name of ["file", "secrets/s", "y"]) writeFileSync(join(canary, name), "");
  writeFileSync(join(canary, "marker"), marker);
  evil = await bench.tree({
    "content/file": "of the image",
    root: "-> /",
    up: "-> ../../../../../../..",
    host: `-> ${canary}`,
    proc: "-> /proc/self/root",
    fd: "-> /proc/self/fd",
  });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  rmSync(canary, { recursive: true });
});

const cache = (id: string, source = ""): ExecMount => ({
  ...{ kind: "cache", target: "/c", id, sharing: "shared", from: undefined, source },
  ...{ readonly: false, mode: 0o777, uid: 0, gid: 0 },
});
const intact = () => {
  expect(readdirSync(canary).sort()).toEqual(["file", "marker", "secrets", "y"]);
  expect(readdirSync(join(canary, "secrets"))).toEqual(["s"]);
  expect(readFileSync(join(canary, "marker"), "utf8")).toBe(marker);
};

test("a source that is a link in an image shows the image only, whatever it leads to", async () => {
  const names = ["content", "fd", "host", "proc", "root", "up"];
  for (const source of ["/root", "up", "/../../..", "root/up/root"])
    for (const readonly of [true, false]) {
      const mounts: ExecMount[] = [{ kind: "bind", target: "/m", from: 1, source, readonly }];
      const { stdout } = await bench.run("ls /m", { inputs: [evil], mounts });
      expect(stdout.trim().split("\n")).toEqual(names);
    }
  for (const source of ["host", "host/marker", "proc", "fd/3", "proc/etc/shadow"]) {
    const mounts: ExecMount[] = [{ kind: "bind", target: "/m", from: 1, source, readonly: true }];
    const error = await bench.run("ls /m; cat /m", { inputs: [evil], mounts }).catch((one: unknown) => one);
    expect(codeOf(error)).toBe("not-found");
    const seed: ExecMount = { ...cache(`seed ${source}`), from: 1, source } as ExecMount;
    const seeded = await bench.run("ls /c", { inputs: [evil], mounts: [seed] }).catch((one: unknown) => one);
    expect(codeOf(seeded)).toBe("not-found");
  }
  intact();
});

test("a cache's id is a name and never a path", async () => {
  for (const id of ["../..", "/etc", "../../../../../../etc", "a/../../b", "", ".", "\n", "x".repeat(5000)]) {
    const { stdout } = await bench.run("ls -A /c; touch /c/mine", { mounts: [cache(id)] });
    expect(stdout).toBe("");
    expect((await bench.run("ls -A /c", { mounts: [cache(id, "../../..")] })).stdout).toBe("mine\n");
  }
  for (const name of readdirSync(join(bench.root, "caches"))) expect(name).toMatch(/^[0-9a-f]{40}-\d+$/);
});

test("a part of a cache that another step swaps for a link to the host is never the host's", async () => {
  const stop = new AbortController();
  const attacker = bench
    .run(
      `mkdir -p /c/a /c/sub; ln -s ${canary} /c/link; touch /c/ready; while :; do mv -T /c/sub /c/a/x; mv -T /c/link /c/sub; mv -T /c/sub /c/link; mv -T /c/a/x /c/sub; done`,
      { mounts: [cache("shared")], signal: stop.signal },
    )
    .catch((error: unknown) => error);
  let mounted = 0;
  try {
    // It gets its mount now and then, or the test shows nothing.
    for (let round = 0; round < rounds || (mounted === 0 && round < 500); round++) {
      const work = bench.run("ls /c; echo overwritten >/c/marker", { mounts: [cache("shared", "sub")] });
      const result = await work.catch((error: unknown) => error);
      if (result instanceof Error) expect(codeOf(result)).not.toBe("internal");
      else mounted++;
      intact();
    }
  } finally {
    stop.abort(new Error("over"));
    expect(messageOf(await attacker)).toBe("over");
  }
  expect(mounted).toBeGreaterThan(0);
});

test("what a step put in the place of its mounts' parents is not followed when they are taken away", async () => {
  const mounts: ExecMount[] = [
    { kind: "tmpfs", target: "/run/secrets", size: 0 },
    { kind: "bind", target: "/x/y", from: 1, source: "content/file", readonly: true },
  ];
  const swap = `mv /run /r && ln -s ${canary} /run; mv /x /r2 && ln -s ${canary} /x; ln -s ${canary} /etc/hosts.d; ls / >/dev/null`;
  const { snapshot } = await bench.run(swap, { inputs: [evil], mounts });
  intact();
  // Places are found again where the step moved them, and are not in the layer.
  expect(bench.layer(snapshot).filter((name) => /secrets|y$/.test(name))).toEqual([]);
  expect(bench.layer(snapshot)).toContain("run");
});

test("a target cannot lead out of the step", async () => {
  const image = await bench.tree({ etc: `-> ${canary}`, "run/x": "" }, () => undefined);
  const mount = (target: string): ExecMount => ({
    ...{ kind: "secret", target, env: undefined, id: "s", required: true },
    ...{ mode: 0o444, uid: 0, gid: 0 },
  });
  const session = { secret: async () => Buffer.from("a value of some length") };
  const bin: ExecMount = { kind: "bind", target: "/bin", from: 1, source: "/bin", readonly: true };
  for (const target of ["/../../../../tmp/s", "/etc/s", "etc/../../s", `${canary}/s`])
    await bench.run("true", { root: image, inputs: [bench.base], session, mounts: [bin, mount(target)] });
  intact();
});

test("more rights than a container has take an entitlement, and nothing of the host is in reach without", async () => {
  const error = await bench.run("true", { op: { security: "insecure" } }).catch((one: unknown) => one);
  expect(codeOf(error)).toBe("forbidden");
  const { stdout } = await bench.run(
    "mount -t tmpfs none /mnt 2>/dev/null && echo mounted; echo 1 >/proc/sys/kernel/panic && echo panic; cat /proc/kcore | head -c 1; ls /sys/firmware; test -e /dev/mem && echo mem; chmod 777 /sys/fs/cgroup/* 2>/dev/null && echo cgroup; true",
  );
  expect(stdout).toBe("");
});
