import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { growth } from "../harness/memory.ts";
import { file, gnuSparse, symlink, tarEnd } from "../harness/raw-tar.ts";
import { hostileArchives } from "./hostile/archives.ts";
import { Canary, stored, unchanged } from "./hostile/guard.ts";
import { dockerArchive, imageOf } from "./hostile/images.ts";

/** CVE-2021-41190, CVE-2024-3727, CVE-2022-23648: what an archive says about its parts, and an image about how it is run. */
const allowed = 256 << 20;

let daemon: TestDaemon;
let canary: Canary;
beforeAll(async () => {
  daemon = await TestDaemon.start({ busybox: false });
  canary = new Canary(join(daemon.root, "canary"));
}, 120_000);
afterEach(async () => {
  canary.check();
  await daemon.assertClean();
});
afterAll(() => daemon.close());

async function load(archive: Uint8Array): Promise<string> {
  const reply = await fetch("http://tug/images/load?quiet=1", {
    unix: daemon.socket,
    method: "POST",
    body: new Uint8Array(archive),
    signal: AbortSignal.timeout(120_000),
  });
  return await reply.text();
}

test("a hostile archive is loaded as what it says, or refused in words, and nothing is left of it", async () => {
  const before = stored(daemon);
  const wrong: unknown[] = [];
  for (const { name, parts, refused } of hostileArchives()) {
    const grown = await growth(daemon, async () => {
      const reply = await load(Buffer.concat([...parts, tarEnd]));
      const message = /"(?:message|error)":"((?:[^"\\]|\\.)*)"/.exec(reply)?.[1];
      if (refused ? !refused.test(message ?? "") : message !== undefined)
        wrong.push({ name, reply: reply.slice(0, 500) });
      if (message !== undefined) return;
      expect((await daemon.api("DELETE", "/images/hostile:1?force=1")).status).toBe(200);
    });
    await unchanged(daemon, before, name);
    if (grown > allowed) wrong.push({ name, grown });
  }
  expect(wrong).toEqual([]);
}, 300_000);

/** A root that programs run in, whose /link leads to the host's /etc and to a directory of the host. */
function rootWith(more: readonly Uint8Array[]): Buffer {
  const busybox = Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
  // Its own two blocks of zeros end it: what comes before them is wanted.
  let end = busybox.length;
  while (end >= 512 && busybox.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  return Buffer.concat([busybox.subarray(0, end), ...more, tarEnd]);
}

interface Hostile {
  readonly name: string;
  readonly config: object;
  /** What creating or starting says; when absent it runs. */
  readonly refused?: RegExp;
}

const program = ["/bin/busybox", "true"];
const hostile: readonly Hostile[] = [
  {
    name: "variables without =, with spaces",
    config: { Env: ["NOTHING", "A B=c", "__proto__=x"] },
  },
  { name: "a variable without a name", config: { Env: ["=x"] }, refused: /invalid environment variable: =x/ },
  { name: "a variable with a NUL", config: { Env: ["A=b\0C=d"] }, refused: /./ },
  {
    name: "a variable larger than the kernel takes",
    config: { Env: [`A=${"x".repeat(1 << 20)}`] },
    refused: /too long|too big/i,
  },
  { name: "ten thousand variables", config: { Env: Array.from({ length: 10_000 }, (_, i) => `V${i}=x`) } },
  {
    name: "a working directory of ..",
    config: { WorkingDir: "../../../.." },
    refused: /needs to be an absolute path/,
  },
  // Made where the link leads inside the container.
  { name: "a working directory through a link out", config: { WorkingDir: "/link/made" } },
  { name: "a working directory of a process", config: { WorkingDir: "/proc/self/fd/7" }, refused: /./ },
  { name: "a working directory with a NUL", config: { WorkingDir: "/a\0b" }, refused: /./ },
  { name: "a volume of /../../..", config: { Volumes: { "/../../..": {} } }, refused: /./ },
  { name: "a volume that leads out and in", config: { Volumes: { "/../../../../data": {} } } },
  { name: "a volume of nothing", config: { Volumes: { "": {} } }, refused: /./ },
  { name: "a volume that is relative", config: { Volumes: { "data/x": {} } }, refused: /./ },
  {
    name: "a volume with options in its name",
    config: { Volumes: { "/data:/etc:rw": {} } },
    refused: /invalid volume specification/,
  },
  {
    name: "ports that are none",
    config: { ExposedPorts: { garbage: {}, "80/xyz": {}, "99999/tcp": {}, "-1": {} } },
    refused: /port/i,
  },
  { name: "all ports", config: { ExposedPorts: { "1-65535/tcp": {} } } },
  { name: "a user that is a path", config: { User: "../../root" }, refused: /unable to find user/ },
  { name: "a user with three parts", config: { User: "0:0:0" } },
  { name: "a user below zero", config: { User: "-1" }, refused: /./ },
  { name: "a user beyond all users", config: { User: "4294967296" }, refused: /./ },
  { name: "a user with a newline", config: { User: "root\nroot" }, refused: /./ },
  { name: "a signal that is a command", config: { StopSignal: "TERM; reboot" }, refused: /signal/i },
  {
    name: "a health check that never ends",
    config: { Healthcheck: { Test: ["CMD"], Interval: -1, Timeout: 1e300, Retries: -7 } },
    refused: /./,
  },
  {
    name: "labels that JavaScript objects have",
    config: { Labels: { __proto__: "x", constructor: "y", "a\nb": "\u001b[2J" } },
  },
  {
    name: "labels of a monitor and of compose",
    config: {
      Labels: {
        "run.oci.seccomp_bpf_data": "AAAA",
        "io.kubernetes.cri-o.x": "y",
        "com.docker.compose.project": "../x",
      },
    },
  },
  { name: "an entrypoint of nothing", config: { Entrypoint: [""], Cmd: null }, refused: /./ },
  {
    name: "an entrypoint of megabytes",
    config: { Entrypoint: ["/bin/busybox", "true", "x".repeat(1 << 20)] },
    refused: /too long|too big/i,
  },
];

test("an image's own words about how it is run never lead out of the container, nor end the daemon", async () => {
  const root = rootWith([
    symlink("link", canary.path),
    symlink("etc-of-host", "/../../etc"),
    file("data/own", "image"),
  ]);
  const wrong: unknown[] = [];
  const plain = await load(dockerArchive(imageOf([{ tar: root, blob: root }], { Cmd: program }), "plain:1"));
  expect(plain).toContain("plain:1");
  for (const { name, config, refused } of hostile) {
    const reply = await load(
      dockerArchive(imageOf([{ tar: root, blob: root }], { Cmd: program, ...config }), "hostile:1"),
    );
    let said = "";
    if (!reply.includes("Loaded image")) said = reply;
    else {
      const ran = await daemon.tug(["run", "--rm", "--network", "none", "hostile:1"]);
      if (ran.code !== 0) said = ran.stderr || `exit ${ran.code}`;
      await daemon.api("DELETE", "/images/hostile:1?force=1");
    }
    if (refused ? !refused.test(said) : said !== "") wrong.push({ name, said: said.slice(0, 500) });
    canary.check();
  }
  expect(wrong).toEqual([]);
  await daemon.ok(["rmi", "plain:1"]);
}, 300_000);

test("a volume over a link is filled with the image's data, and nothing of the host's", async () => {
  const own = canary.path.slice(1);
  const root = rootWith([
    symlink("link", canary.path),
    file(`${own}/own`, "image"),
    symlink("etc-of-host", "/../../../../etc"),
    file("etc/own", "image"),
    file("data/own", "image"),
    gnuSparse("data/holes", [[2n ** 40n - 1n, 1n]], 2n ** 40n, "y"),
  ]);
  const Volumes = { "/link": {}, "/etc-of-host": {}, "/data/../data": {} };
  await load(dockerArchive(imageOf([{ tar: root, blob: root }], { Volumes }), "volumes:1"));
  const script = "ls /link/ /etc-of-host/ /data; touch /link/victim /etc-of-host/hostname-of-host";
  const run = ["run", "--rm", "--network", "none", "volumes:1", "/bin/busybox", "sh", "-c", script];
  const seen = (await daemon.ok(run)).split(/\s+/);
  expect(seen.filter((name) => name === "own").length).toBe(3);
  for (const name of ["victim", "shadow", "fstab"]) expect(seen).not.toContain(name);
  const stat = ["/bin/busybox", "stat", "-c", "%s %b", "/data/holes"];
  const [size, blocks] = (await daemon.ok(["run", "--rm", "--network", "none", "volumes:1", ...stat])).split(
    " ",
  );
  expect([size, Number(blocks) < 100]).toEqual([String(2 ** 40), true]);
  await daemon.ok(["rmi", "volumes:1"]);
}, 120_000);
