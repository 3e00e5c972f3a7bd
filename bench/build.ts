import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../test/harness/daemon.ts";
import type { Engine } from "./engines.ts";
import type { Scenario } from "./measure.ts";

/** Stages side by side, small files, a large one, commands: what projects' builds are made of. */
const dockerfile = `FROM busybox AS deps
WORKDIR /deps
COPY deps ./
RUN find . -type f | wc -l >/count

FROM busybox AS assets
COPY large.bin /large.bin
RUN sha256sum /large.bin >/sum

FROM busybox AS app
WORKDIR /app
COPY src ./
RUN cat part-0/file-0.txt >/built && find . -type f | wc -l >>/built

FROM busybox
WORKDIR /app
ENV NAME=bench
COPY --from=deps /deps /app/deps
COPY --from=assets /large.bin /sum /app/
COPY --from=app /app /app/src
COPY --from=app /built /app/
RUN test -s /app/built && echo done >/app/done
CMD ["cat", "/app/done"]
`;

/** 1,500 files each in `deps` and `src`, 50 MB in one. */
function context(engine: Engine): string {
  const folder = join(engine.scratch, `context-${engine.name}`);
  if (existsSync(folder)) return folder;
  for (const part of ["deps", "src"]) {
    for (let directory = 0; directory < 30; directory++) {
      const path = join(folder, part, `part-${directory}`);
      mkdirSync(path, { recursive: true });
      for (let file = 0; file < 50; file++) {
        writeFileSync(
          join(path, `file-${file}.txt`),
          `${part} ${directory} ${file}\n`.repeat(1 + ((file * 7) % 90)),
        );
      }
    }
  }
  writeFileSync(join(folder, "large.bin"), noise(50_000_000));
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  return folder;
}

/** Bytes that do not compress, the same each time. */
function noise(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = 0x2545f491;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

const image = "bench-build";

/** Milliseconds of a build with BuildKit, output thrown away. */
async function build(engine: Engine, folder: string, ...flags: readonly string[]): Promise<number> {
  await run(["sync", "-f", engine.scratch]);
  const started = performance.now();
  const result = await run([...engine.cli, "build", "-q", "-t", image, ...flags, folder], {
    ...(engine.signal ? { signal: engine.signal } : {}),
    env: { ...engine.env, DOCKER_BUILDKIT: "1" },
    timeout: 180_000,
  });
  if (result.code !== 0) throw new Error(`${engine.name} build: exit ${result.code}: ${result.stderr}`);
  return performance.now() - started;
}

/** An empty cache, and nothing of the context on the daemon's side. */
async function forgetAll(engine: Engine): Promise<void> {
  await run([...engine.cli, "rmi", "-f", image], { env: engine.env });
  await run([...engine.cli, "builder", "prune", "-af"], { env: engine.env });
}

/** Nothing is taken from the cache. (Emptying it each time is no option: dockerd 20.10 now and then hangs in the build after a prune.) */
const cold: Scenario = {
  name: "build, no cache",
  unit: "ms",
  rounds: 5,
  goal: { at: "most", value: 0.5 },
  prepare: async (engine) => void (await build(engine, context(engine))),
  measure: (engine) => build(engine, context(engine), "--no-cache"),
};

const cached: Scenario = {
  name: "build, all cached",
  unit: "ms",
  rounds: 7,
  goal: { at: "most", value: 0.5 },
  prepare: async (engine) => void (await build(engine, context(engine))),
  measure: (engine) => build(engine, context(engine)),
};

const changed: Scenario = {
  name: "build, one file changed",
  unit: "ms",
  rounds: 7,
  goal: { at: "most", value: 1 / 3 },
  prepare: async (engine) => void (await build(engine, context(engine))),
  measure: async (engine) => {
    appendFileSync(join(context(engine), "src/part-0/file-0.txt"), `${crypto.randomUUID()}\n`);
    return await build(engine, context(engine));
  },
  finish: async (engine) => {
    await forgetAll(engine);
    rmSync(context(engine), { recursive: true });
  },
};

/** 50,000 files of which one changes. */
function wide(engine: Engine): string {
  const folder = join(engine.scratch, `wide-${engine.name}`);
  if (existsSync(folder)) return folder;
  for (let directory = 0; directory < 500; directory++) {
    const path = join(folder, "files", `part-${directory}`);
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < 100; file++) writeFileSync(join(path, `f${file}`), `${directory} ${file}\n`);
  }
  writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nCOPY files/part-7 /part\n");
  return folder;
}

const large: Scenario = {
  name: "build, 50,000 files, one changed",
  unit: "ms",
  rounds: 3,
  goal: { at: "most", value: 1 },
  prepare: async (engine) => {
    await build(engine, wide(engine));
  },
  measure: async (engine) => {
    appendFileSync(join(wide(engine), "files/part-7/f7"), `${crypto.randomUUID()}\n`);
    return await build(engine, wide(engine));
  },
  finish: async (engine) => {
    await forgetAll(engine);
    rmSync(wide(engine), { recursive: true });
  },
};

export const buildScenarios: readonly Scenario[] = [cold, cached, changed, large];
