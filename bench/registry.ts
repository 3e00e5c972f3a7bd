/**
 * `tug registry serve` beside Debian's docker-registry: blobs in and out with 1 and 16 clients, rounds in turn, medians as ratios. Clients are
 * curl processes, so that neither server is measured through a client of ours.
 *
 *     node_modules/.bin/bun bench/registry.ts [--megabytes 64] [--rounds 5]
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestRegistry } from "../test/harness/registry.ts";
import { TugRegistry } from "../test/harness/tug-registry.ts";

const option = (name: string, otherwise: number) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};
const megabytes = option("megabytes", 64);
const rounds = option("rounds", 5);

interface Server {
  readonly name: string;
  readonly url: string;
}

interface Blob {
  readonly path: string;
  readonly digest: string;
}

const scratch = mkdtempSync(join(tmpdir(), "tug-bench-registry-"));
const filler = randomBytes(1 << 20);
let number = 0;

/** A file nobody has seen before. */
function makeBlob(size: number): Blob {
  const path = join(scratch, `blob-${number++}`);
  const bytes = Buffer.alloc(size << 20);
  for (let at = 0; at < bytes.length; at += filler.length) filler.copy(bytes, at);
  randomBytes(64).copy(bytes);
  writeFileSync(path, bytes);
  return { path, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

async function curl(...args: string[]): Promise<void> {
  const child = Bun.spawn(["curl", "-sS", "--fail", "-o", "/dev/null", ...args], {
    stderr: "pipe",
    stdout: "ignore",
  });
  const [code, errors] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`curl ${args.join(" ")}: ${errors}`);
}

/** Where an upload goes: asked for beforehand, so that only bytes are measured. */
async function begin(server: Server, blob: Blob): Promise<string> {
  const response = await fetch(`${server.url}/v2/bench/blobs/uploads/`, { method: "POST" });
  const url = new URL(response.headers.get("location") ?? "", server.url);
  url.searchParams.set("digest", blob.digest);
  return url.href;
}

/** Megabytes in a second, all clients together. */
async function rate(jobs: readonly (() => Promise<void>)[], size: number): Promise<number> {
  const started = performance.now();
  await Promise.all(jobs.map((job) => job()));
  return (jobs.length * size) / ((performance.now() - started) / 1000);
}

async function measure(
  server: Server,
  clients: number,
): Promise<{ readonly put: number; readonly get: number }> {
  const size = clients === 1 ? megabytes * 4 : Math.max(1, Math.round(megabytes / 4));
  const blobs = Array.from({ length: clients }, () => makeBlob(size));
  const targets = await Promise.all(blobs.map((blob) => begin(server, blob)));
  const put = await rate(
    blobs.map((blob, index) => () => curl("-T", blob.path, "-H", "Expect:", targets[index] ?? "")),
    size,
  );
  const get = await rate(
    blobs.map((blob) => () => curl(`${server.url}/v2/bench/blobs/${blob.digest}`)),
    size,
  );
  for (const blob of blobs) rmSync(blob.path);
  return { put, get };
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

mkdirSync(scratch, { recursive: true });
const debian = await TestRegistry.start();
try {
  await using tug = await TugRegistry.start({ flags: ["--gc-interval", "0"] });
  const servers: readonly Server[] = [
    { name: "tug", url: tug.url },
    { name: "docker-registry", url: `http://${debian.address}` },
  ];
  for (const clients of [1, 16]) {
    const samples = new Map<string, number[]>();
    for (let round = 0; round < rounds; round++) {
      for (const server of servers) {
        for (const [kind, value] of Object.entries(await measure(server, clients))) {
          const key = `${server.name} ${kind}`;
          samples.set(key, [...(samples.get(key) ?? []), value]);
        }
      }
    }
    for (const kind of ["put", "get"]) {
      const [ours, theirs] = servers.map(({ name }) => median(samples.get(`${name} ${kind}`) ?? []));
      const ratio = (ours ?? Number.NaN) / (theirs ?? Number.NaN);
      const title = `registry ${kind}, ${clients} client${clients === 1 ? "" : "s"}`;
      console.log(
        `${title.padEnd(28)} MB/s  tug ${ours?.toFixed(0)}  docker-registry ${theirs?.toFixed(0)}  ratio ${ratio.toFixed(2)}  goal: at least 1.00: ${ratio >= 1 ? "met" : "MISSED"}`,
      );
    }
  }
  console.log(`memory at the end: ${(tug.residentBytes() / 1e6).toFixed(0)} MB`);
} finally {
  await debian.close();
  rmSync(scratch, { recursive: true, force: true });
}
