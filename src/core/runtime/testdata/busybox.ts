import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../../base/lib/log.ts";
import { cgroupPathsFor, probeCgroups, removeCgroup } from "../../../base/sys/cgroup/cgroup.ts";
import { createTaskRuntime } from "../drivers/conmon/conmon.ts";
import { Crun } from "../drivers/crun/crun.ts";
import { Runc } from "../drivers/runc/runc.ts";
import type { OciRuntime } from "../oci.ts";
import { probeHost } from "../host-facts.ts";
import { SeccompCache } from "../seccomp/cache.ts";
import type { SpecInput } from "../spec.ts";
import type { NewTask, OciSpec, TaskDirs, TaskExit, TaskOom, TaskRuntime } from "../runtime.ts";

/** A rootfs of the static busybox, a runtime over real crun and conmon, and a cgroup parent, all removed on dispose. */
export class Sandbox implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "tug-runtime-"));
  readonly rootfs = join(this.root, "rootfs");
  readonly hierarchy = probeCgroups();
  readonly facts = probeHost({ hierarchy: this.hierarchy });
  readonly parent = `/tug-runtime-test-${process.pid}-${Math.random().toString(16).slice(2, 8)}`;
  runtime: TaskRuntime & AsyncDisposable;
  readonly seccomp = new SeccompCache({ directory: join(this.root, "seccomp") });
  readonly exits = new Map<string, TaskExit>();
  readonly ooms: TaskOom[] = [];
  readonly #waiting = new Map<string, (exit: TaskExit) => void>();

  constructor() {
    // A user namespace's root reaches the rootfs as somebody else.
    chmodSync(this.root, 0o711);
    for (const name of ["bin", "proc", "sys", "dev", "etc", "tmp", "root"])
      mkdirSync(join(this.rootfs, name), { recursive: true });
    copyFileSync("/bin/busybox", join(this.rootfs, "bin/busybox"));
    for (const applet of ["sh", "cat", "sleep", "echo", "id", "dd", "stty", "yes", "true", "kill", "head", "wc", "seq", "ls", "grep", "mkdir", "mount", "env", "ps", "touch", "tail"])
      symlinkSync("busybox", join(this.rootfs, "bin", applet));
    writeFileSync(join(this.rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    this.runtime = this.open();
  }

  /** A runtime as the daemon makes it; opening one again is what a restarted daemon does. */
  open(crun = "/usr/bin/crun", createTimeoutMs = 20_000, conmon = "/usr/bin/conmon"): TaskRuntime & AsyncDisposable {
    const root = join(this.root, "oci");
    const { hierarchy } = this;
    const runtime = createTaskRuntime({
      conmon,
      runtimes: new Map<string, OciRuntime>([
        ["crun", new Crun({ path: crun, root, hierarchy, seccomp: this.seccomp })],
        ["runc", new Runc({ path: "/usr/sbin/runc", root: `${root}-runc` })],
      ]),
      // The suite runs under the other runtime as well: TUG_TEST_RUNTIME=runc.
      defaultRuntime: process.env["TUG_TEST_RUNTIME"] ?? "crun",
      hierarchy,
      log: silentLog,
      createTimeoutMs,
      sweepMs: 100,
    });
    runtime.onExit((exit) => {
      this.exits.set(exit.id, exit);
      this.#waiting.get(exit.id)?.(exit);
    });
    runtime.onOom((oom) => this.ooms.push(oom));
    return runtime;
  }

  /** The daemon goes away and comes back. */
  async restart(): Promise<void> {
    await this.runtime[Symbol.asyncDispose]();
    this.exits.clear();
    this.runtime = this.open();
  }

  dirs(id: string): TaskDirs {
    return { bundle: join(this.root, "bundle", id), state: join(this.root, "state", id) };
  }

  task(id: string, args: readonly string[], overrides: Partial<NewTask> & { linux?: object; process?: object; mounts?: object[] } = {}): NewTask {
    const { linux, process: extra, mounts, ...rest } = overrides;
    const spec: OciSpec = {
      ociVersion: "1.0.2",
      process: {
        terminal: rest.tty ?? false,
        user: { uid: 0, gid: 0 },
        args,
        env: ["PATH=/bin"],
        cwd: "/",
        capabilities: Object.fromEntries(["bounding", "effective", "permitted"].map((set) => [set, ["CAP_KILL", "CAP_CHOWN"]])),
        ...extra,
      },
      root: { path: this.rootfs },
      hostname: id,
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
        { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666"] },
        ...(mounts ?? []),
      ],
      linux: {
        cgroupsPath: `${this.parent}/${id}`,
        namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })),
        ...linux,
      },
    };
    return {
      id,
      dirs: this.dirs(id),
      spec,
      rootfs: this.rootfs,
      tty: false,
      openStdin: false,
      stdinOnce: false,
      logTarget: `k8s-file:${join(this.root, `${id}.log`)}`,
      logLimit: 0,
      ...rest,
    };
  }

  /** Creates and starts. */
  async run(id: string, args: readonly string[], overrides: Parameters<Sandbox["task"]>[2] = {}): Promise<number> {
    const task = await this.runtime.create(this.task(id, args, overrides));
    await this.runtime.start(id);
    return task.pid;
  }

  async exit(id: string): Promise<TaskExit> {
    return this.exits.get(id) ?? (await new Promise((resolve) => this.#waiting.set(id, resolve)));
  }

  async log(id: string): Promise<string> {
    const text = await Bun.file(join(this.root, `${id}.log`)).text();
    return text.split("\n").map((line) => line.split(" ").slice(3).join(" ")).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a failed test left running.
    const states = join(this.root, "state");
    for (const id of existsSync(states) ? readdirSync(states) : []) {
      await this.runtime.observe(id, this.dirs(id));
      await this.runtime.delete(id, { force: true });
    }
    await this.runtime[Symbol.asyncDispose]();
    this.seccomp[Symbol.dispose]();
    removeCgroup(cgroupPathsFor(this.hierarchy, this.parent));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The pieces of a full spec that the generator makes, for a container of the sandbox. */
export function specInput(box: Sandbox, id: string, args: readonly string[], overrides: Partial<SpecInput> = {}): SpecInput {
  return {
    id,
    hostname: "box",
    domainname: "",
    args,
    env: ["PATH=/bin"],
    cwd: "/",
    tty: false,
    user: { uid: 0, gid: 0, additionalGids: [] },
    rootfs: box.rootfs,
    mounts: [],
    host: {},
    namespaces: { pid: "private", network: "private", ipc: "private", uts: "private", mount: "private", cgroup: "host", user: "host" },
    cgroupsPath: `${box.parent}/${id}`,
    init: undefined,
    annotations: {},
    kernel: box.facts,
    ...overrides,
  };
}

/** Everything a stream of packets says, by stream. */
export async function collect(output: ReadableStream<{ stream: "stdout" | "stderr"; bytes: Uint8Array }>): Promise<{ stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  for await (const packet of output) said[packet.stream] += Buffer.from(packet.bytes).toString();
  return said;
}
