import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "./engines.ts";
import { command, detached, removeAll, type Scenario, timed } from "./measure.ts";

const size = 100 << 20;
const many = 3000;

/** Bytes that do not compress, the same on every engine: Marsaglia's xorshift32. */
function noise(length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = 2463534242;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return new Uint8Array(words.buffer);
}

/** A folder of the host's with one large file, and one with many small files in 30 folders. */
function makeSource(engine: Engine): string {
  const folder = mkdtempSync(join(engine.scratch, `files-${engine.name}-`));
  writeFileSync(join(folder, "large"), noise(size));
  for (let index = 0; index < many; index++) {
    const below = join(folder, "small", `d${index % 30}`);
    if (index < 30) mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `f${index}`), noise(1024 + (index % 8) * 512));
  }
  return folder;
}

const sources = (): {
  of(engine: Engine): string;
  prepare(engine: Engine): Promise<void>;
  finish(engine: Engine): Promise<void>;
} => {
  const folders = new Map<string, string>();
  const of = (engine: Engine) => folders.get(engine.name) ?? "";
  return {
    of,
    prepare: async (engine) => {
      folders.set(engine.name, makeSource(engine));
      await command(engine, detached("bench-files"));
      await command(engine, ["cp", of(engine), "bench-files:/there"]);
    },
    finish: async (engine) => {
      await removeAll(engine);
      rmSync(of(engine), { recursive: true, force: true });
    },
  };
};

const copy = (name: string, what: "large" | "small", direction: "in" | "out"): Scenario => {
  const source = sources();
  let round = 0;
  return {
    name,
    unit: "ms",
    rounds: 7,
    goal: { at: "most", value: 1 },
    prepare: source.prepare,
    finish: source.finish,
    measure: async (engine) => {
      const fresh = `${what}-${round++}`;
      if (direction === "in") {
        const took = await timed(engine, ["cp", join(source.of(engine), what), `bench-files:/${fresh}`]);
        await command(engine, ["exec", "bench-files", "rm", "-rf", `/${fresh}`]);
        return took;
      }
      const target = join(source.of(engine), fresh);
      const took = await timed(engine, ["cp", `bench-files:/there/${what}`, target]);
      rmSync(target, { recursive: true });
      return took;
    },
  };
};

const reading = (name: string, args: readonly string[]): Scenario => {
  const source = sources();
  return {
    name,
    unit: "ms",
    rounds: 7,
    goal: { at: "most", value: 1 },
    prepare: source.prepare,
    finish: source.finish,
    measure: (engine) => timed(engine, args),
  };
};

/** The writable layer holds `script`'s work and becomes an image. */
const commit = (name: string, script: string): Scenario => ({
  name,
  unit: "ms",
  rounds: 5,
  goal: { at: "most", value: 1 },
  prepare: async (engine) => {
    await command(engine, detached("bench-commit"));
    await command(engine, ["exec", "bench-commit", "sh", "-c", script]);
  },
  measure: async (engine) => {
    const took = await timed(engine, ["commit", "bench-commit", "bench-committed"]);
    await command(engine, ["rmi", "bench-committed"]);
    return took;
  },
  finish: removeAll,
});

export const fileScenarios: readonly Scenario[] = [
  copy("cp in, 100 MB", "large", "in"),
  copy("cp out, 100 MB", "large", "out"),
  copy("cp in, 3,000 files", "small", "in"),
  copy("cp out, 3,000 files", "small", "out"),
  reading("diff", ["diff", "bench-files"]),
  reading("export", ["export", "bench-files"]),
  commit("commit, one small file", "echo one > /one"),
  commit("commit, 3,000 files", "mkdir /d && for i in $(seq 3000); do echo $i > /d/$i; done"),
  commit("commit, 100 MB", "head -c 104857600 /dev/urandom > /large"),
  {
    name: "stats of 10",
    unit: "ms",
    rounds: 5,
    goal: { at: "most", value: 1 },
    prepare: async (engine) => {
      for (let index = 0; index < 10; index++) await command(engine, detached(`bench-stats-${index}`));
    },
    measure: (engine) => timed(engine, ["stats", "--no-stream"]),
    finish: removeAll,
  },
  {
    name: "logs, 100 lines",
    unit: "ms",
    rounds: 10,
    goal: { at: "most", value: 1 },
    prepare: async (engine) =>
      void (await command(engine, ["run", "--name", "bench-lines", "busybox", "seq", "100"])),
    measure: (engine) => timed(engine, ["logs", "bench-lines"]),
    finish: removeAll,
  },
];
