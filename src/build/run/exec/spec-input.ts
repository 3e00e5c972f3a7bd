import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { checkedCwd } from "../../../core/runtime/spec/generate.ts";
import type { HostFacts, SpecInput, SpecMount } from "../../../core/runtime/spec.ts";
import { lookupUser } from "../../../core/runtime/user.ts";
import type { ExecOp } from "../../graph.ts";
import type { StepCgroup } from "./cgroups.ts";
import type { ExecDeps } from "./deps.ts";
import { notCompleted } from "./failure.ts";
import type { StepMounts } from "./mount-context.ts";
import type { StepNamespace } from "./namespaces.ts";
import { HOSTNAME } from "./network-files.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** execve(2) ends a string there: runtimes refuse it, or run what stands before it and say nothing. */
function refuseNul(what: string, texts: readonly string[]): void {
  const found = texts.find((text) => text.includes("\0"));
  if (found === undefined) return;
  const near = JSON.stringify(found.slice(0, 40));
  throw invalid(`the ${what} of a step has a NUL byte: ${near}: no program can be given one, take it out`);
}

/** What a step's container is made from: the same generator as for containers, with what BuildKit does otherwise. */
export function stepSpecInput(
  deps: ExecDeps,
  op: ExecOp,
  parts: {
    readonly id: string;
    readonly cgroup: StepCgroup;
    readonly root: RootedDir;
    readonly rootfs: string;
    readonly prepared: StepMounts;
    readonly mounts: readonly SpecMount[];
    readonly namespace: StepNamespace | undefined;
  },
): SpecInput {
  const { remap, defaults, facts } = deps;
  const user = userOf(op, parts.root);
  const env = stepEnvironment(op, parts.prepared, user.home);
  refuseNul("command", op.args);
  refuseNul("environment", env);
  return {
    id: parts.id,
    hostname: op.hostname || HOSTNAME,
    domainname: "",
    args: op.args,
    env,
    cwd: checkedCwd(op.cwd),
    tty: false,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    rootfs: parts.rootfs,
    mounts: parts.mounts,
    host: stepHostConfig(deps, op),
    namespaces: {
      mount: "private",
      pid: "private",
      ipc: "private",
      uts: "private",
      cgroup: op.security === "insecure" ? "host" : defaults.cgroupnsMode,
      network: op.network === "host" ? "host" : (parts.namespace?.network ?? "private"),
      user: remap ? (parts.namespace?.user ?? "private") : "host",
    },
    cgroupsPath: parts.cgroup.container,
    init: undefined,
    ...(remap ? { idMappings: remap.maps } : {}),
    annotations: {},
    defaultUlimits: defaults.ulimits,
    kernel: facts,
  };
}

/** Refuses what cannot go together with mapped ids, in Docker's words. */
export function refuseUnmappable(deps: ExecDeps, op: ExecOp): void {
  if (!deps.remap) return;
  if (op.security === "insecure")
    throw invalid(
      "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
    );
  if (op.network === "host")
    throw invalid("cannot share the host's network namespace when user namespaces are enabled");
}

/** What the step says, then what it lacks; secrets win. */
function stepEnvironment(
  op: Pick<ExecOp, "env" | "proxyEnv">,
  prepared: Pick<StepMounts, "env" | "agent">,
  home: string,
): readonly string[] {
  const all = new Map<string, string>();
  const add = (entry: string, wins: boolean) => {
    const [name = ""] = entry.split("=", 1);
    if (wins || !all.has(name)) all.set(name, entry);
  };
  for (const entry of op.env) add(entry, true);
  for (const entry of prepared.env) add(entry, true);
  for (const entry of op.proxyEnv) add(entry, false);
  if (prepared.agent !== undefined) add(prepared.agent, false);
  add(`PATH=${DEFAULT_PATH}`, false);
  add(`HOME=${home}`, false);
  return [...all.values()];
}

/** Members of HostConfig that a build may set; anything else in `resources` is not for a step. */
const RESOURCES = [
  ...["Memory", "MemorySwap", "MemoryReservation", "MemorySwappiness", "CpuShares", "CpuPeriod", "CpuQuota"],
  ...[
    "CpusetCpus",
    "CpusetMems",
    "NanoCpus",
    "PidsLimit",
    "BlkioWeight",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
  ],
];

/**
 * A step that bounds nothing may still not take all process ids of the host: a fork bomb in a Dockerfile would keep everybody from
 * logging in to stop it. Half of what the kernel has (kernel.threads-max, kernel.pid_max) is more than any build needs.
 */
const PIDS_LIMIT = 16_384;

function stepHostConfig({ defaults, facts }: ExecDeps, op: ExecOp): HostConfig {
  const asked = Object.fromEntries(
    Object.entries(op.resources).filter(
      ([name, value]) => RESOURCES.includes(name) && value !== 0 && value !== "",
    ),
  );
  return {
    PidsLimit: PIDS_LIMIT,
    ...asked,
    Privileged: op.security === "insecure",
    ...(op.readonlyRoot && { ReadonlyRootfs: true }),
    ShmSize: op.shmSize || defaults.shmSize,
    Ulimits: op.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    DeviceRequests: deviceRequests(op, facts),
  };
}

/** Devices that the step can do without are left out where the host has none of that name. */
function deviceRequests(op: ExecOp, facts: HostFacts): NonNullable<HostConfig["DeviceRequests"]> {
  const names = op.devices
    .filter(({ name, required }) => required || hasDevice(facts, name))
    .map(({ name }) => name);
  return names.length === 0 ? [] : [{ Driver: "cdi", DeviceIDs: names }];
}

/** Whether the host's CDI files tell of a device of that name. */
export function hasDevice(facts: HostFacts, name: string): boolean {
  const [kind = "", device] = name.split("=");
  return facts
    .cdi()
    .some(
      (one) => one.kind === kind && (device === "all" || one.devices.some((entry) => entry.name === device)),
    );
}

/** Of the step's own passwd and group. */
function userOf(op: ExecOp, root: RootedDir): ReturnType<typeof lookupUser> {
  try {
    return lookupUser(root, op.user, []);
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    throw new TugError(error.code, notCompleted(op.args, error.message), { cause: error });
  }
}
