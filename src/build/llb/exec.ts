import { posix } from "node:path";
import { invalid, TugError } from "../../base/lib/errors.ts";
import {
  CacheSharingOpt,
  type LinuxResources,
  type Mount,
  MountType,
  NetMode,
  type ExecOp as PbExecOp,
  type ProxyEnv,
  SecurityMode,
} from "../../base/spec/buildkit/pb.gen.ts";
import type { ExecMount, ExecOp } from "../graph.ts";
import { proxyEnvironment } from "../plan/arguments.ts";
import { Inputs } from "../plan/vertices.ts";
import { inputAt, type OpContext } from "./context.ts";
import { asRoot, emptyTree, onTop, type Tree } from "./tree.ts";

/** A mount that has an output: its number, and where the tree is. */
interface Output {
  readonly number: number;
  /** Index in `ExecOp.mounts`; -1 is the root. */
  readonly mount: number;
  readonly below: Tree;
}

/** An exec's outputs: each is a step of its own that makes one of the trees; those that are asked for together run once. */
export function translateExec(context: OpContext, exec: PbExecOp): readonly (readonly [number, Tree])[] {
  const { decoded } = context;
  const { meta } = exec;
  if (!meta || meta.args.length === 0) throw invalid(`operation ${decoded.digest} has no command`);
  const inputs = new Inputs();
  const root = exec.mounts.find((mount) => posix.join("/", mount.dest) === "/");
  if (!root || root.mountType !== MountType.BIND || root.selector !== "")
    throw invalid(`operation ${decoded.digest} has no root: a bind mount of a whole tree at "/"`);
  const below = asRoot(inputAt(context, root.input) ?? emptyTree, context.platform);
  const outputs: Output[] = [];
  const passed = new Map<number, Tree>();
  const take = (mount: Mount, index: number, tree: Tree) => {
    if (mount.output < 0n) return;
    if (mount.readonly) passed.set(Number(mount.output), tree);
    else outputs.push({ number: Number(mount.output), mount: index, below: tree });
  };
  take(root, -1, below);
  const rootIndex = inputs.index(below.vertex);
  const mounts: ExecMount[] = [];
  for (const mount of exec.mounts) {
    if (mount === root) continue;
    const given = inputAt(context, mount.input) ?? emptyTree;
    // What is only looked at is taken as it is.
    const kept = mount.output >= 0n && !mount.readonly;
    const tree = kept ? asRoot(given, context.platform) : given;
    const bound = mountOf(context, mount, meta.cwd, inputs.index(tree.vertex));
    if (bound.kind === "bind") take(mount, mounts.length, tree);
    mounts.push(bound);
  }
  const op: ExecOp = {
    kind: "exec",
    root: rootIndex,
    args: meta.args,
    env: meta.env,
    cwd: posix.join("/", meta.cwd),
    user: meta.user,
    mounts: [...mounts, ...secretVariables(exec)],
    network: networkOf(exec.network),
    security: securityOf(exec.security),
    hostname: meta.hostname,
    hosts: meta.extraHosts.map(({ host, ip }) => ({ host, address: ip })),
    shmSize: 0,
    ulimits: meta.ulimit.map(({ name, soft, hard }) => ({ name, soft: Number(soft), hard: Number(hard) })),
    cgroupParent: meta.cgroupParent,
    devices: exec.cdiDevices.map(({ name, optional }) => ({ name, required: !optional })),
    proxyEnv: meta.proxyEnv ? proxiesOf(meta.proxyEnv) : [],
    resources: resourcesOf(decoded.metadata.linuxResources),
    platform: context.platform,
    ...(root.readonly && { readonlyRoot: true }),
    ...(meta.validExitCodes.length > 0 && { validExitCodes: meta.validExitCodes }),
  };
  return trees(context, op, inputs, outputs, passed);
}

function trees(
  context: OpContext,
  op: ExecOp,
  inputs: Inputs,
  outputs: readonly Output[],
  passed: ReadonlyMap<number, Tree>,
): readonly (readonly [number, Tree])[] {
  const kept = outputs.map(({ mount }) => mount).sort((a, b) => a - b);
  const plain = kept.length === 1 && kept[0] === -1;
  return context.decoded.outputs.map((number) => {
    const same = passed.get(number);
    if (same) return [number, same];
    const output = outputs.find((one) => one.number === number);
    if (!output) throw invalid(`operation ${context.decoded.digest} has no output ${number}`);
    const made: ExecOp = plain ? op : { ...op, kept, result: output.mount };
    const vertex = context.vertex(made, inputs, op.args.join(" ").slice(0, 4096));
    return [number, onTop(output.below, vertex)];
  });
}

function mountOf({ decoded }: OpContext, mount: Mount, cwd: string, from: number | undefined): ExecMount {
  const target = posix.resolve("/", cwd, mount.dest);
  const { readonly } = mount;
  switch (mount.mountType) {
    case MountType.BIND:
      return { kind: "bind", target, from, source: mount.selector, readonly };
    case MountType.CACHE: {
      const { id = "", sharing = CacheSharingOpt.SHARED } = mount.cacheOpt ?? {};
      const look = { mode: 0o755, uid: 0, gid: 0 };
      return {
        ...{ kind: "cache", target, id: id || target, sharing: sharingOf(sharing), from, readonly, ...look },
        source: mount.selector,
      };
    }
    case MountType.TMPFS:
      return { kind: "tmpfs", target, size: Number(mount.tmpfsOpt?.size ?? 0n) };
    case MountType.SECRET: {
      const { id = "", optional = false, uid = 0, gid = 0, mode = 0o400 } = mount.secretOpt ?? {};
      const look = { required: !optional, uid, gid, mode: mode & 0o7777 };
      return { kind: "secret", target, env: undefined, id: id || posix.basename(target), ...look };
    }
    case MountType.SSH: {
      const { id = "", optional = false, uid = 0, gid = 0, mode = 0o600 } = mount.sshOpt ?? {};
      return { kind: "ssh", target, id: id || "default", required: !optional, uid, gid, mode: mode & 0o7777 };
    }
    default:
      throw invalid(`operation ${decoded.digest} has a mount of the unknown kind ${Number(mount.mountType)}`);
  }
}

function secretVariables({ secretenv }: PbExecOp): readonly ExecMount[] {
  return secretenv.map(({ id, name, optional }) => {
    if (!/^[^=\0]+$/.test(name)) throw invalid(`a secret cannot be the variable ${JSON.stringify(name)}`);
    const look = { required: !optional, uid: 0, gid: 0, mode: 0o400 };
    return { kind: "secret", target: undefined, env: name, id: id || name, ...look };
  });
}

function sharingOf(sharing: CacheSharingOpt): "shared" | "private" | "locked" {
  switch (sharing) {
    case CacheSharingOpt.SHARED:
      return "shared";
    case CacheSharingOpt.PRIVATE:
      return "private";
    case CacheSharingOpt.LOCKED:
      return "locked";
    default:
      throw unknown("cache sharing", sharing);
  }
}

function networkOf(mode: NetMode): ExecOp["network"] {
  switch (mode) {
    case NetMode.UNSET:
      return "default";
    case NetMode.HOST:
      return "host";
    case NetMode.NONE:
      return "none";
    default:
      throw unknown("network mode", mode);
  }
}

function securityOf(mode: SecurityMode): ExecOp["security"] {
  switch (mode) {
    case SecurityMode.SANDBOX:
      return "sandbox";
    case SecurityMode.INSECURE:
      return "insecure";
    default:
      throw unknown("security mode", mode);
  }
}

function unknown(what: string, value: unknown): TugError {
  return new TugError("not-implemented", `the ${what} ${String(value)} is not known to this builder`);
}

function proxiesOf({ httpProxy, httpsProxy, ftpProxy, noProxy, allProxy }: ProxyEnv): readonly string[] {
  return proxyEnvironment({
    HTTP_PROXY: httpProxy,
    HTTPS_PROXY: httpsProxy,
    FTP_PROXY: ftpProxy,
    NO_PROXY: noProxy,
    ALL_PROXY: allProxy,
  });
}

/** As HostConfig names them. */
function resourcesOf(asked: LinuxResources | undefined): ExecOp["resources"] {
  if (!asked) return {};
  const { memory, memorySwap, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = asked;
  const numbers = {
    Memory: memory,
    MemorySwap: memorySwap,
    CpuShares: cpuShares,
    CpuPeriod: cpuPeriod,
    CpuQuota: cpuQuota,
  };
  const set = Object.entries(numbers).flatMap(([name, value]) =>
    value === 0n ? [] : [[name, Number(value)]],
  );
  return {
    ...(Object.fromEntries(set) as Record<string, number>),
    ...(cpusetCpus !== "" && { CpusetCpus: cpusetCpus }),
    ...(cpusetMems !== "" && { CpusetMems: cpusetMems }),
  };
}
