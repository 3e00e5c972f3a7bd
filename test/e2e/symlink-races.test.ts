import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { flip } from "../harness/flip.ts";

/**
 * A container (here: somebody who can write to its volume, and a process inside it) swaps a directory for a link to "/"
 * as fast as it can while the daemon copies through that path (CVE-2018-15664, CVE-2026-42306). Whatever the moment, the link
 * must mean the container's root and never the host's.
 */
let daemon: TestDaemon;
let canary = "";
beforeAll(async () => {
  daemon = await TestDaemon.start();
  canary = mkdtempSync("/tmp/tug-e2e-canary-");
  writeFileSync(join(canary, "file"), "SECRET OF THE HOST");
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  rmSync(canary, { recursive: true, force: true });
  await daemon.close();
});

/** Copies of each test; TUG_RACE_ROUNDS=10000 looks harder. */
const rounds = Number(process.env["TUG_RACE_ROUNDS"] ?? 100);
function tarWith(name: string, text: string): Uint8Array<ArrayBuffer> {
  const dir = mkdtempSync("/tmp/tug-e2e-tar-");
  writeFileSync(join(dir, name), text);
  const tar = Bun.spawnSync(["tar", "-C", dir, "-c", name]).stdout;
  rmSync(dir, { recursive: true });
  return new Uint8Array(tar);
}

const hostMounts = () =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(daemon.root));

/**
 * Copies in and out through `path` many times, and on until these replies were met: a machine under load may swap nothing for long. Returns what the
 * replies were.
 */
async function copyThrough(
  container: string,
  path: string,
  expected: readonly string[],
): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  const planted = tarWith("planted", "planted by the daemon");
  const url = `http://tug/containers/${container}/archive?path=${encodeURIComponent(path)}`;
  const one = async () => {
    const got = await fetch(url, { unix: daemon.socket });
    const text = await got.text();
    expect(text).not.toContain("SECRET OF THE HOST");
    count(`GET ${got.status}${text.includes("inside") ? " inside" : ""}`);
    const put = await fetch(url, { unix: daemon.socket, method: "PUT", body: planted });
    const reply = await put.text();
    if (put.status >= 500)
      expect(reply).toMatch(
        /no such file|not a directory|too many levels|device or resource busy|file exists/,
      );
    count(`PUT ${put.status}`);
    expect(readdirSync(canary)).toEqual(["file"]);
  };
  const end = performance.now() + 30_000;
  const met = () => expected.every((key) => seen.has(key)) || performance.now() > end;
  for (let done = 0; done < rounds || !met(); done += 2) await Promise.all([one(), one()]);
  return seen;
}

test("a volume whose directory becomes a link to / and back never shows or takes anything of the host", async () => {
  const shared = mkdtempSync("/tmp/tug-e2e-shared-");
  try {
    mkdirSync(join(shared, "x", canary), { recursive: true });
    writeFileSync(join(shared, "x", canary, "file"), "inside");
    symlinkSync("/", join(shared, "y"));
    await daemon.ok([
      "run",
      "-d",
      "--name",
      "cc",
      "--network",
      "none",
      "-v",
      `${shared}:/vol`,
      "busybox",
      "sleep",
      "1000",
    ]);
    const before = hostMounts();
    for (const state of ["running", "stopped"]) {
      if (state === "stopped") await daemon.ok(["stop", "-t", "0", "cc"]);
      await using _flipping = await flip(join(shared, "x"), join(shared, "y"));
      // Both states are met, or the test shows nothing.
      const both = ["GET 200 inside", "GET 404"];
      const seen = await copyThrough("cc", `/vol/x${canary}`, both);
      expect([...seen.keys()]).toEqual(expect.arrayContaining(both));
      if (state === "running") expect(hostMounts()).toEqual(before);
    }
    expect(readFileSync(join(canary, "file"), "utf8")).toBe("SECRET OF THE HOST");
  } finally {
    rmSync(shared, { recursive: true, force: true });
  }
}, 300_000);

test("a volume mounted below a place that is being swapped lands in the container and never on the host", async () => {
  const shared = mkdtempSync("/tmp/tug-e2e-shared-");
  const inner = mkdtempSync("/tmp/tug-e2e-inner-");
  try {
    writeFileSync(join(inner, "file"), "inside");
    mkdirSync(join(shared, "x/target"), { recursive: true });
    // On the host this is a directory that exists; a mount there would be a mount on the host.
    mkdirSync(join(canary, "target"));
    symlinkSync(canary, join(shared, "y"));
    await daemon.ok([
      ...[
        "create",
        "--name",
        "cc",
        "--network",
        "none",
        "-v",
        `${shared}:/vol`,
        "-v",
        `${inner}:/vol/x/target`,
      ],
      ...["busybox", "true"],
    ]);
    await using _flipping = await flip(join(shared, "x"), join(shared, "y"));
    const before = hostMounts();
    const tar = tarWith("planted", "planted");
    for (let done = 0; done < rounds / 2; done++) {
      for (const method of ["GET", "PUT"]) {
        const reply = await fetch("http://tug/containers/cc/archive?path=/vol/x/target", {
          unix: daemon.socket,
          method,
          ...(method === "PUT" ? { body: tar } : {}),
        });
        await reply.arrayBuffer();
        expect(readdirSync(join(canary, "target"))).toEqual([]);
      }
    }
    expect(hostMounts()).toEqual(before);
  } finally {
    rmSync(shared, { recursive: true, force: true });
    rmSync(inner, { recursive: true, force: true });
    rmSync(join(canary, "target"), { recursive: true, force: true });
  }
}, 300_000);

test("a process that swaps links in its own root gets no further", async () => {
  await daemon.ok([
    ...["run", "-d", "--name", "cc", "--network", "none", "busybox", "sh", "-c"],
    `mkdir -p /p/dir${canary}; echo inside >/p/dir${canary}/file; ln -s / /p/link; touch /on; cd /p; mv dir x; while :; do mv x dir; mv link x; mv x link; mv dir x; done`,
  ]);
  while ((await daemon.api("HEAD", "/containers/cc/archive?path=/on")).status !== 200);
  const seen = await copyThrough("cc", `/p/x${canary}`, []);
  expect([...seen.keys()].some((key) => key.startsWith("GET"))).toBe(true);
  expect(existsSync(join(canary, "planted"))).toBe(false);
}, 300_000);
