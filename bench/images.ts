import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../test/harness/daemon.ts";
import { TestRegistry } from "../test/harness/registry.ts";
import type { Engine } from "./engines.ts";
import { writeImageArchive } from "./image-archive.ts";
import { command, type Scenario, timed } from "./measure.ts";

const name = "bench/image:1";

/**
 * One folder of a docker-registry, served on loopback to each engine: dockerd has a loopback of its own, so it gets a second
 * process there on the same folder.
 */
class Served {
  #registry: Promise<TestRegistry> | undefined;
  readonly #inner = new Map<string, Bun.Subprocess>();
  #users = 0;

  async address(engine: Engine): Promise<string> {
    this.#registry ??= TestRegistry.start();
    const registry = await this.#registry;
    if (engine.name !== "docker" || this.#inner.has(engine.name)) return registry.address;
    const command = ["docker-registry", "serve", join(registry.root, "config.yml")];
    const child = Bun.spawn(["nsenter", `--net=/proc/${engine.daemonPid}/ns/net`, ...command], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    this.#inner.set(engine.name, child);
    // Long before the first round, which pulls or pushes other engines' share first.
    await Bun.sleep(500);
    return registry.address;
  }

  async empty(): Promise<void> {
    const registry = await this.#registry;
    if (registry) rmSync(join(registry.root, "data", "docker"), { recursive: true, force: true });
  }

  async fill(archive: string, repository: string): Promise<void> {
    const registry = await this.#registry;
    await registry?.push(`docker-archive:${archive}`, repository, "--format", "v2s2");
  }

  hold(): void {
    this.#users++;
  }

  async release(): Promise<void> {
    if (--this.#users > 0) return;
    for (const child of this.#inner.values()) {
      child.kill();
      await child.exited;
    }
    this.#inner.clear();
    await (await this.#registry)?.close();
    this.#registry = undefined;
  }
}

const archiveOf = (engine: Engine) => join(engine.scratch, "image.tar");

function archive(engine: Engine): string {
  const path = archiveOf(engine);
  if (!existsSync(path)) writeImageArchive(path, name);
  return path;
}

/** What one engine has still to write would be the next one's time. */
const settle = (engine: Engine) => run(["sync", "-f", engine.scratch]);

/** Podman has no daemon whose settings say that loopback is plain HTTP. */
const plain = (engine: Engine) => (engine.name === "podman" ? ["--tls-verify=false"] : []);

async function forget(engine: Engine, ...images: string[]): Promise<void> {
  await command(engine, ["rmi", "-f", ...images]);
}

const load: Scenario = {
  name: "load, 150 MB",
  unit: "ms",
  rounds: 5,
  goal: { at: "most", value: 0.5 },
  prepare: async (engine) => void archive(engine),
  measure: async (engine) => {
    await settle(engine);
    const took = await timed(engine, ["load", "-i", archiveOf(engine)]);
    await forget(engine, name);
    return took;
  },
};

const save: Scenario = {
  name: "save, 150 MB",
  unit: "ms",
  rounds: 5,
  goal: { at: "most", value: 2 / 3 },
  prepare: async (engine) => void (await command(engine, ["load", "-i", archive(engine)])),
  measure: async (engine) => {
    const target = join(engine.scratch, `saved-${engine.name}.tar`);
    await settle(engine);
    const took = await timed(engine, ["save", "-o", target, name]);
    rmSync(target);
    return took;
  },
  finish: (engine) => forget(engine, name),
};

function pull(): Scenario {
  const served = new Served();
  const reference = async (engine: Engine) => `${await served.address(engine)}/${name}`;
  return {
    name: "pull, 150 MB",
    unit: "ms",
    rounds: 5,
    goal: { at: "most", value: 2 / 3 },
    prepare: async (engine) => {
      served.hold();
      await served.address(engine);
      await served.fill(archive(engine), name);
    },
    measure: async (engine) => {
      const image = await reference(engine);
      await settle(engine);
      const took = await timed(engine, ["pull", "-q", ...plain(engine), image]);
      await forget(engine, image);
      return took;
    },
    finish: () => served.release(),
  };
}

/** Into an empty registry each time. `from`: an image that came from a registry, or out of an archive with plain layers. */
function push(from: "pulled" | "loaded"): Scenario {
  const served = new Served();
  const images = async (engine: Engine) => {
    const address = await served.address(engine);
    return { source: `${address}/${name}`, image: `${address}/bench/pushed:1` };
  };
  return {
    name: `push, 150 MB ${from}`,
    unit: "ms",
    rounds: 3,
    goal: { at: "most", value: 0.5 },
    prepare: async (engine) => {
      served.hold();
      const { source, image } = await images(engine);
      if (from === "loaded") {
        await command(engine, ["load", "-i", archive(engine)]);
        const loaded = engine.name === "podman" ? `docker.io/${name}` : name;
        await command(engine, ["tag", loaded, image]);
        await forget(engine, loaded);
        return;
      }
      await served.fill(archive(engine), name);
      await command(engine, ["pull", "-q", ...plain(engine), source]);
      await command(engine, ["tag", source, image]);
    },
    measure: async (engine) => {
      const { image } = await images(engine);
      await served.empty();
      await settle(engine);
      return await timed(engine, ["push", "-q", ...plain(engine), image]);
    },
    finish: async (engine) => {
      const { source, image } = await images(engine);
      await forget(engine, image, ...(from === "pulled" ? [source] : []));
      await served.release();
    },
  };
}

export const imageScenarios: readonly Scenario[] = [load, save, pull(), push("pulled"), push("loaded")];
