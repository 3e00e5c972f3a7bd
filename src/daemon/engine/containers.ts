import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { internal } from "../../base/lib/errors.ts";
import { KeyedMutex } from "../../base/lib/mutex.ts";
import { removeCgroup } from "../../base/sys/cgroup/cgroup.ts";
import type { ImageStore } from "../../core/image/image.ts";
import type { NetworkService } from "../../core/network/network.ts";
import type { OciSpec } from "../../core/runtime/runtime.ts";
import { generateExecProcess } from "../../core/runtime/spec/exec-process.ts";
import { generateResources, generateSpec } from "../../core/runtime/spec/generate.ts";
import { ContainerCensus } from "../../engine/containers/census.ts";
import type { ContainerContext, ContainerDefaults, ContainerHooks } from "../../engine/containers/context.ts";
import { handleExit, handleOom } from "../../engine/containers/lifecycle/exit.ts";
import { LiveTable } from "../../engine/containers/live.ts";
import { type ContainerRecord, containersWithSecret, isAlive } from "../../engine/containers/record.ts";
import type { SecretSource } from "../../engine/containers/secret-source.ts";
import { ContainerStore } from "../../engine/containers/store.ts";
import { ExecService } from "../../engine/exec/service.ts";
import { watchHealth } from "../../engine/health/monitor.ts";
import { fileKeySealing } from "../../engine/secrets/sealing.ts";
import { SecretService } from "../../engine/secrets/service.ts";
import { findProgram } from "../find-program.ts";
import type { Mechanisms } from "./mechanisms.ts";

export interface ContainerParts {
  readonly mechanisms: Mechanisms;
  readonly images: ImageStore;
}

/** Everything about containers, from records to their processes. */
export interface ComposedContainers {
  readonly context: ContainerContext;
  readonly exec: ExecService;
  readonly secrets: SecretService;
  readonly census: ContainerCensus;
}

/** Wires records, processes and health checks; what has to be given back with the daemon's end is pushed on `owned`. */
export function composeContainers(parts: ContainerParts, owned: AsyncDisposableStack): ComposedContainers {
  const { databases, events, clock, config, log, networks, ownCgroup, runtime } = parts.mechanisms;
  const secrets: SecretService = new SecretService({
    database: databases.durable,
    unreadable: databases.unreadable,
    sealing: fileKeySealing(join(config.dataRoot, "secrets")),
    events,
    clock,
    usersOf: (id) => containersWithSecret(context.store.list(), id),
  });
  const context: ContainerContext = containerContext(parts, secrets, {
    running: (record) => watchHealth(context, record, exec),
  });
  // With nothing running, nothing of ours needs to stay on the host.
  const idle = () =>
    context.store.setAside.size === 0 && [...context.store.list()].every((one) => !isAlive(one));
  owned.defer(() => networks.shutdown({ everything: idle() }));
  owned.defer(() => {
    if (idle()) removeCgroup(ownCgroup);
  });
  const exec: ExecService = execService(context);
  owned.use(
    runtime.onExit((exit) => {
      if (exec.handleExit(exit)) return;
      handleExit(context, exit).catch((error: unknown) =>
        log.error("handling the exit of a container", { id: exit.id, error }),
      );
    }),
  );
  owned.use(runtime.onOom(({ id }) => handleOom(context, id)));
  return { context, exec, secrets, census: new ContainerCensus(context) };
}

/** What the operations on containers work with. */
function containerContext(
  { mechanisms, images }: ContainerParts,
  secrets: SecretSource,
  hooks: ContainerHooks,
): ContainerContext {
  const { config, databases } = mechanisms;
  const root = join(config.dataRoot, "containers");
  const states = join(config.execRoot, "containers");
  return {
    clock: mechanisms.clock,
    log: mechanisms.log,
    store: new ContainerStore(databases.state, databases.unreadable),
    live: new LiveTable(),
    locks: new KeyedMutex(),
    images,
    snapshots: mechanisms.snapshots,
    volumes: mechanisms.volumes,
    networks: mechanisms.networks,
    secrets,
    remap: mechanisms.remap,
    runtime: mechanisms.runtime,
    logDrivers: mechanisms.logDrivers,
    events: mechanisms.events,
    spec: { generate: generateSpec, resources: generateResources },
    facts: mechanisms.facts,
    paths: {
      root,
      states,
      dir: (id) => join(root, id),
      rootfs: (id) => join(root, id, "rootfs"),
      task: (id) => ({ bundle: join(root, id), state: join(states, id) }),
    },
    defaults: containerDefaults(mechanisms),
    hooks,
  };
}

function containerDefaults({ config, networks, facts, layout, runtimes }: Mechanisms): ContainerDefaults {
  return {
    logDriver: config.logDriver,
    logOptions: config.logOptions,
    ulimits: config.ulimits,
    dns: config.dns,
    dnsOptions: config.dnsOptions,
    dnsSearch: config.dnsSearch,
    // These are what SIGHUP changes.
    get shmSize() {
      return config.shmSize;
    },
    get ipcMode() {
      return config.ipcMode;
    },
    noNewPrivileges: config.noNewPrivileges,
    init: config.init,
    initPath: config.initPath ?? findProgram(["docker-init", "tini", "tini-static", "catatonit"]),
    cgroupnsMode: config.cgroupnsMode ?? (facts.cgroup === "v2" ? "private" : "host"),
    cgroups: layout,
    get runtime() {
      return runtimes.default;
    },
    get runtimes() {
      return [...runtimes.all.keys()];
    },
    publishIp: "",
    stopTimeout: 10,
    hostGateway: () => config.hostGatewayIps[0] ?? gatewayOfBridge(networks),
  };
}

/** The host as containers of the default network see it. */
function gatewayOfBridge(networks: NetworkService): string | undefined {
  return networks.list().find((network) => network.name === "bridge")?.ipam.config[0]?.gateway;
}

/** A spec larger than this was not written by us. */
const specLimit = 8 * 1024 * 1024;

function execService(containers: ContainerContext): ExecService {
  return new ExecService({
    containers,
    generate: generateExecProcess,
    specOf: async (record: ContainerRecord) => {
      const path = join(containers.paths.task(record.id).state, "config.json");
      const text = await readFile(path, "utf8");
      if (text.length > specLimit) throw internal(`${path} is too large`);
      return JSON.parse(text) as OciSpec;
    },
  });
}
