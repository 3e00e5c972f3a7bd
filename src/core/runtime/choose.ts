import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { type CgroupHierarchy, cgroupPathsFor, removeCgroup } from "../../base/sys/cgroup/cgroup.ts";
import { type CgroupLayout, cgroupsPathOf } from "./cgroup-driver.ts";
import type { OciRuntime } from "./oci.ts";
import { runOciCommand } from "./oci-command.ts";
import { commandInScope, endScope, type Scope, scopeOf } from "./scope.ts";

/**
 * The first of the candidates that can make a container on this host, found out by making one (create, delete; its program
 * never runs): crun refuses hosts with a hybrid cgroup layout, for which no version or feature flag can be asked.
 */
export async function chooseRuntime(deps: {
  /** In order of preference. */
  readonly candidates: readonly OciRuntime[];
  readonly hierarchy: CgroupHierarchy;
  /** A directory to make the probe's bundle in. */
  readonly directory: string;
  readonly layout: CgroupLayout;
  readonly log: Log;
}): Promise<OciRuntime> {
  const reasons: string[] = [];
  for (const runtime of deps.candidates) {
    if (!existsSync(runtime.path)) {
      reasons.push(`${runtime.name}: ${runtime.path} does not exist`);
      continue;
    }
    try {
      await tryOut(runtime, deps);
      return runtime;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      deps.log.warn("an OCI runtime does not work here", { runtime: runtime.name, reason });
      reasons.push(`${runtime.name}: ${reason}`);
    }
  }
  throw new TugError("not-implemented", `no OCI runtime works on this host: ${reasons.join("; ")}`);
}

async function tryOut(
  runtime: OciRuntime,
  deps: {
    readonly hierarchy: CgroupHierarchy;
    readonly directory: string;
    readonly layout: CgroupLayout;
    readonly log: Log;
  },
): Promise<void> {
  const bundle = mkdtempSync(join(deps.directory, "probe-"));
  const id = `probe-${process.pid}-${bundle.slice(-6)}`;
  const cgroupsPath = cgroupsPathOf(deps.layout, undefined, id);
  const cgroups = cgroupPathsFor(deps.hierarchy, cgroupsPath);
  const scope = scopeOf(cgroups, id);
  try {
    for (const name of ["proc", "dev", "sys"]) mkdirSync(join(bundle, "rootfs", name), { recursive: true });
    writeFileSync(join(bundle, "rootfs/probe"), "", { mode: 0o755 });
    writeFileSync(join(bundle, "config.json"), JSON.stringify(probeSpec(cgroupsPath)));
    await createProbe(runtime, { bundle, id, scope });
    await runOciCommand(runtime.path, [...runtime.globalArgs, "delete", "--force", id]);
  } finally {
    removeCgroup(cgroups);
    if (scope) await endScope(scope, deps.log);
    rmSync(bundle, { recursive: true, force: true });
  }
}

/** The created init holds on to its output, so that goes to files and not to pipes that would never end. */
async function createProbe(
  runtime: OciRuntime,
  { bundle, id, scope }: { readonly bundle: string; readonly id: string; readonly scope: Scope | undefined },
): Promise<void> {
  const complaint = Bun.file(join(bundle, "stderr"));
  const { program, args } = runtime.command();
  const command = [program, ...args, "create", "--bundle", bundle, id];
  const child = Bun.spawn(scope ? commandInScope(scope, command) : command, {
    stdio: ["ignore", "ignore", complaint],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  if ((await child.exited) === 0) return;
  throw new TugError("internal", (await complaint.text()).trim() || `exit status ${child.exitCode}`);
}

/** The least that makes every mechanism work: namespaces, the cgroup, a root. */
function probeSpec(cgroupsPath: string): unknown {
  return {
    ociVersion: "1.0.2",
    process: { user: { uid: 0, gid: 0 }, args: ["/probe"], env: ["PATH=/usr/bin:/bin"], cwd: "/" },
    root: { path: "rootfs", readonly: true },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      cgroupsPath,
      namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: "rwm" }] },
    },
  };
}
