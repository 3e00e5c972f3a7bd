import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { hostname as hostHostname } from "node:os";
import { dirname } from "node:path";
import { conflict, invalid, isCode, messageOf } from "../../../base/lib/errors.ts";
import { type ContainerId, randomId } from "../../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../../base/lib/timestamp.ts";
import type {
  ContainerCreateResponse,
  EndpointSettings,
  HostConfig,
  NetworkingConfig,
} from "../../../base/spec/docker/api.gen.ts";
import type { CreateRequest } from "../../../base/spec/docker/requests.ts";
import { hostPlatform, parsePlatform } from "../../../base/spec/oci/platform.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import type { Image } from "../../../core/image/image.ts";
import type { Network } from "../../../core/network/network.ts";
import { checkCgroupParent } from "../../../core/runtime/cgroup-driver.ts";
import { validateResources } from "../../../core/runtime/spec/validate-resources.ts";
import type { ContainerContext } from "../context.ts";
import { refuseCircle } from "../dependencies.ts";
import { emitContainer } from "../events.ts";
import { parseContainerName, randomName } from "../names.ts";
import { containerOfMode, parseNetworkMode } from "../network-mode.ts";
import { publishWarnings } from "../publish.ts";
import { type ContainerDefinition, type ContainerRecord, freshState, type MountRecord } from "../record.ts";
import { checkRemap } from "../start/remap.ts";
import { planSecrets } from "../start/secrets.ts";
import { checkEndpointSettings } from "./endpoint-settings.ts";
import { normalizeHost } from "./host-defaults.ts";
import { resolveLinks } from "./links.ts";
import { mergeImageConfig } from "./merge.ts";
import { planMounts } from "./mount-plan.ts";
import { noteNewVolumes } from "./new-volumes.ts";
import { platformWarning } from "./platform-warning.ts";
import { prepareRoot } from "./prepare-root.ts";
import { validateConfig, validateHost } from "./validate.ts";

export interface CreateOptions {
  readonly name: string | undefined;
  readonly platform: string | undefined;
  /** Read-only binds do not reach below themselves unless they say so: clients before API 1.44. */
  readonly readOnlyNonRecursive?: boolean;
}

/**
 * Makes a container: decides everything first, then makes its directory, its volumes and its writable layer, and writes
 * the record last. A crash in between leaves pieces that no record names; recovery removes those.
 */
export async function createContainer(
  context: ContainerContext,
  request: CreateRequest,
  options: CreateOptions,
): Promise<ContainerCreateResponse> {
  const { store, log } = context;
  const id = randomId() as ContainerId;
  const name = options.name
    ? parseContainerName(options.name)
    : randomName((candidate) => store.isTaken(candidate));
  const { definition, warnings } = decide(context, id, request, options);
  refuseCircle(store, name, definition.host);
  using _name = store.reserve(name, id);
  await using undo = new AsyncDisposableStack();
  const directory = context.paths.dir(id);
  await mkdir(directory, { recursive: true, mode: 0o710 });
  undo.defer(() => removeDirectory(directory));
  const mounts = await makeVolumes(context, id, definition.mounts, undo);
  const image = definition.imageId === "" ? undefined : context.images.get(definition.imageId);
  await context.snapshots.prepare(id, image?.chainId, {
    volatile: definition.host.AutoRemove ?? false,
    ...context.snapshots.readOptions(definition.host.StorageOpt ?? {}),
  });
  undo.defer(() => context.snapshots.remove(id));
  const record = { id, name, definition: { ...definition, mounts }, state: freshState };
  await prepareRoot(context, record);
  store.insert(record);
  undo.move();
  emitContainer(context, store.resolve(id), "create");
  log.debug("container created", { id, name });
  return { Id: id, Warnings: [...warnings] };
}

function decide(
  context: ContainerContext,
  id: ContainerId,
  request: CreateRequest,
  options: CreateOptions,
): { readonly definition: ContainerDefinition; readonly warnings: readonly string[] } {
  const { defaults } = context;
  const { HostConfig: askedHost = {}, NetworkingConfig: networking, ...askedConfig } = request;
  validateConfig(askedConfig);
  const warnings: string[] = [];
  const warn = (text: string) => void warnings.push(text);
  validateHost(askedHost, askedConfig, { runtimes: defaults.runtimes, warn });
  checkCgroupParent(defaults.cgroups.driver, askedHost.CgroupParent ?? "");
  const image = askedConfig.Image ? findImage(context, askedConfig.Image, options.platform) : undefined;
  if (image) warnings.push(...platformWarning(image, options.platform));
  const config = mergeImageConfig(askedConfig, image?.config.config);
  const [path, ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (path === undefined) throw invalid("no command specified");
  validateConfig(config);
  const checked = validateResources(askedHost, context.facts, { update: false });
  const host = joinContainers(context, normalizeHost(checked.host, defaults, context.facts));
  host.Links = [...resolveLinks(host, (reference) => findContainer(context, reference))];
  context.snapshots.readOptions(host.StorageOpt ?? {});
  const { Secrets: secrets = [] } = askedHost;
  if (secrets.length > 0) Object.assign(host, { Secrets: planSecrets(context.secrets, secrets) });
  checkRemap(context, host);
  chooseLogDriver(context, host);
  config.Hostname ||= hostnameFor(context, id, host);
  const planned = planMounts(config, host, {
    mountsOf: (container) => {
      const found = findContainer(context, container);
      // "Not found" would tell the client that the image is missing.
      if (!found) throw invalid(`No such container: ${container}`);
      return found.definition.mounts;
    },
    exists: existsSync,
    imageId: (reference) => context.images.resolve(reference).id,
    randomVolumeName: randomId,
    daemonRoot: dirname(context.paths.root),
  });
  const mounts = options.readOnlyNonRecursive ? planned.map(shallowReadonly) : planned;
  const networks = planNetworks(context, host, networking);
  return {
    warnings: [...warnings, ...checked.warnings, ...publishWarnings(context, host, Object.keys(networks))],
    definition: {
      created: formatRfc3339Nano(BigInt(context.clock.now()) * 1_000_000n),
      imageId: image?.id ?? "",
      imageReference: askedConfig.Image ?? "",
      imageManifest: image?.manifest
        ? ({ ...image.manifest, urls: undefined, annotations: undefined } as never)
        : undefined,
      platform: {
        os: image?.config.os ?? "linux",
        architecture: image?.config.architecture ?? context.facts.architecture,
      },
      path,
      args,
      config,
      host,
      mounts,
      networks,
      logPath: "",
      driver: context.snapshots.name,
    },
  };
}

function shallowReadonly(mount: MountRecord): MountRecord {
  return mount.type === "bind" && mount.readonlyDepth === "recursive"
    ? { ...mount, readonlyDepth: "non-recursive" }
    : mount;
}

function findImage(context: ContainerContext, reference: string, platform: string | undefined): Image {
  return context.images.resolve(reference, platform ? parsePlatform(platform, hostPlatform()) : undefined);
}

/** With --network host the host's name, in another container's network that one's, else the short id. */
function hostnameFor(context: ContainerContext, id: ContainerId, host: HostConfig): string {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === "container")
    return findContainer(context, mode.container)?.definition.config.Hostname ?? "";
  if (mode.kind === "host") return hostHostname();
  return id.slice(0, 12);
}

/** `container:<name>` modes are kept by id, so that a rename does not break them. One that is not there fails the start. */
function joinContainers(context: ContainerContext, host: HostConfig): HostConfig {
  const resolved = { ...host };
  for (const key of ["NetworkMode", "IpcMode", "PidMode"] as const) {
    const target = containerOfMode(host[key]);
    if (target === undefined) continue;
    // dockerd needs the labels of the one whose IPC is shared; of the others it asks at the start.
    const found = findContainer(context, target);
    if (!found && key === "IpcMode") throw invalid(`No such container: ${target}`);
    if (found) resolved[key] = `container:${found.id}`;
  }
  return resolved;
}

function findContainer(context: ContainerContext, reference: string): ContainerRecord | undefined {
  try {
    return context.store.resolve(reference);
  } catch (error) {
    if (isCode(error, "not-found")) return undefined;
    throw error;
  }
}

function chooseLogDriver(context: ContainerContext, host: HostConfig): void {
  const type = host.LogConfig?.Type ?? "";
  const driver = context.logDrivers.get(type);
  if (!driver) throw invalid(`error looking up logging plugin ${type}: plugin "${type}" not found`);
  driver.validate(host.LogConfig?.Config ?? {});
}

/** The network of NetworkMode first, then those of NetworkingConfig; names are resolved at start. */
function planNetworks(
  context: ContainerContext,
  host: HostConfig,
  networking: NetworkingConfig | undefined,
): Readonly<Record<string, EndpointSettings>> {
  const mode = parseNetworkMode(host.NetworkMode);
  const asked = networking?.EndpointsConfig ?? {};
  if (mode.kind === "container") {
    if (Object.keys(asked).length > 0) {
      throw conflict(
        "conflicting options: cannot attach to user-defined networks and join another container's network",
      );
    }
    return {};
  }
  const name = mode.kind === "network" ? mode.name : mode.kind;
  const canonical = (network: string) => findNetwork(context, network)?.name ?? network;
  const primary = canonical(name);
  const plan: Record<string, EndpointSettings> = { [primary]: {} };
  for (const [key, settings] of Object.entries(asked)) {
    const network = key === "default" ? primary : canonical(key);
    checkNamed(context, key, network, settings);
    plan[network] = { ...settings };
  }
  return plan;
}

function checkNamed(
  context: ContainerContext,
  key: string,
  name: string,
  settings: EndpointSettings | null,
): void {
  try {
    if (!settings) throw invalid("EndpointsConfig is nil");
    checkEndpointSettings(name, findNetwork(context, name), settings);
  } catch (error) {
    throw invalid(`invalid config for network ${key}: ${messageOf(error)}`, error);
  }
}

function findNetwork(context: ContainerContext, network: string): Network | undefined {
  try {
    return context.networks.resolve(network);
  } catch {
    // A network that does not exist yet is an error of `start`, not of `create`, as in Docker.
    return undefined;
  }
}

/** Creates and claims volumes; the source path becomes part of the record. */
async function makeVolumes(
  context: ContainerContext,
  id: ContainerId,
  mounts: readonly MountRecord[],
  undo: AsyncDisposableStack,
): Promise<readonly MountRecord[]> {
  const done: MountRecord[] = [];
  const ownVolumes = mounts.flatMap((mount) =>
    mount.type === "volume" && mount.anonymous && !context.volumes.get(mount.name) ? [mount.name] : [],
  );
  noteNewVolumes(context.paths.dir(id), ownVolumes);
  for (const mount of mounts) {
    if (mount.type !== "volume") {
      done.push(mount);
      continue;
    }
    const existing = context.volumes.get(mount.name);
    const volume =
      existing ??
      (await context.volumes.create({
        name: mount.name,
        anonymous: mount.anonymous,
        driver: mount.driver,
        labels: mount.labels,
        options: mount.options,
      }));
    if (!existing) {
      undo.defer(() => context.volumes.remove(volume.name, { force: true }));
    }
    context.volumes.reference(volume.name, id);
    undo.defer(async () => context.volumes.release(volume.name, id));
    done.push({ ...mount, name: volume.name, driver: volume.driver, source: volume.mountpoint });
  }
  return done;
}
