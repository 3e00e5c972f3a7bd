import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../../../base/lib/clock.ts";
import type { ChainId, Digest } from "../../../../base/lib/ids.ts";
import { randomId } from "../../../../base/lib/ids.ts";
import { silentLog } from "../../../../base/lib/log.ts";
import { hostPlatform } from "../../../../base/spec/oci/platform.ts";
import { openDatabase } from "../../../../base/store/database.ts";
import { cgroupPathsFor, probeCgroups, removeCgroup } from "../../../../base/sys/cgroup/cgroup.ts";
import { type CgroupLayout, cgroupLayout } from "../../../../core/runtime/cgroup-driver.ts";
import { Crun } from "../../../../core/runtime/drivers/crun/crun.ts";
import { Runc } from "../../../../core/runtime/drivers/runc/runc.ts";
import { emulationOf } from "../../../../core/runtime/emulation.ts";
import { probeHost } from "../../../../core/runtime/host-facts.ts";
import type { OciRuntime } from "../../../../core/runtime/oci.ts";
import { SeccompCache } from "../../../../core/runtime/seccomp/cache.ts";
import { openOverlay2 } from "../../../../core/snapshot/drivers/overlay2/overlay2.ts";
import { diffTar } from "../../../../core/snapshot/diff.ts";
import type { Snapshotter } from "../../../../core/snapshot/snapshotter.ts";
import { CacheMounts } from "../../../cache/mounts/cache-mounts.ts";
import type { ExecMount, ExecOp, Vertex } from "../../../graph.ts";
import { execOp } from "../../../plan/exec-op.ts";
import type { BuildSession } from "../../../session.ts";
import { BuildSnapshots } from "../../../solve/step-snapshots.ts";
import type { StepContext } from "../../runner.ts";
import { resultOf, sessionOf } from "../../testdata/steps.ts";
import type { ExecDeps, StepNetworks } from "../deps.ts";
import { ExecRunner } from "../runner.ts";

const APPLETS =
  "sh cat sleep echo id dd true false kill head wc seq ls grep mkdir rmdir rm mv ln mount umount env ps touch tail hostname stat test printf cp chmod find base64 ifconfig nc";

/** What a step said and made. */
export interface Ran {
  readonly snapshot: ChainId;
  readonly stdout: string;
  readonly stderr: string;
}

/** RUN steps on real snapshots, a real runtime and a busybox root, without a daemon. Everything is removed by dispose. */
export class ExecBench implements AsyncDisposable {
  readonly root: string;
  readonly hierarchy = probeCgroups();
  readonly layout: CgroupLayout;
  readonly said = { stdout: "", stderr: "" };
  readonly deps: ExecDeps;
  runner: ExecRunner;
  base: ChainId = "" as ChainId;
  readonly #seccomp: SeccompCache;
  readonly #snapshots: Snapshotter;

  private constructor(parts: {
    root: string;
    snapshots: Snapshotter;
    networks: StepNetworks | undefined;
    runtime: string;
    overrides: Partial<ExecDeps>;
    parent: string;
  }) {
    const { root, snapshots, overrides } = parts;
    this.layout = cgroupLayout("cgroupfs", parts.parent, "tug-test");
    this.root = root;
    this.#snapshots = snapshots;
    const { hierarchy } = this;
    this.#seccomp = new SeccompCache({ directory: join(root, "seccomp") });
    const runtime: OciRuntime =
      parts.runtime === "runc"
        ? new Runc({ path: "/usr/sbin/runc", root: join(root, "runc") })
        : new Crun({ path: "/usr/bin/crun", root: join(root, "crun"), hierarchy, seccomp: this.#seccomp });
    const missing = () => {
      throw new Error("this bench has no networks");
    };
    this.deps = {
      root: join(root, "build"),
      runtime: () => runtime,
      hierarchy,
      cgroups: this.layout,
      facts: probeHost({ hierarchy }),
      hostPlatform: hostPlatform(),
      emulation: (platform) => emulationOf(platform, hostPlatform(), []),
      networks: parts.networks ?? {
        resolve: missing,
        allocate: missing,
        attach: missing,
        release: missing,
        resolverAddress: () => undefined,
      },
      joinable: missing,
      snapshots: new BuildSnapshots({ snapshots, empty: join(root, "empty"), log: silentLog }),
      caches: new CacheMounts({ root: join(root, "caches"), clock: systemClock, log: silentLog }),
      remap: undefined,
      defaults: {
        network: "bridge",
        dns: ["192.0.2.53"],
        dnsOptions: [],
        dnsSearch: [],
        hostGateway: () => undefined,
        ulimits: [],
        shmSize: 64 << 20,
        cgroupnsMode: "host",
      },
      log: silentLog,
      ...overrides,
    };
    this.runner = new ExecRunner(this.deps);
  }

  static async open(
    options: {
      networks?: StepNetworks;
      runtime?: "crun" | "runc";
      overrides?: Partial<ExecDeps>;
      /** Of a bench that is gone. */
      root?: string;
      parent?: string;
    } = {},
  ): Promise<ExecBench> {
    const root = options.root ?? mkdtempSync(join(tmpdir(), "tug-exec-"));
    chmodSync(root, 0o711);
    const snapshots = await openOverlay2({
      root: join(root, "overlay2"),
      db: openDatabase(join(root, "records.db"), { durable: false }),
      clock: systemClock,
      sync: async () => undefined,
    });
    const bench = new ExecBench({
      root,
      snapshots,
      networks: options.networks,
      runtime: options.runtime ?? "crun",
      overrides: options.overrides ?? {},
      parent: options.parent ?? `/tug-build-test-${process.pid}-${randomId().slice(0, 6)}`,
    });
    await bench.deps.caches.recover();
    bench.base = await bench.tree({ "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n", "etc/group": "root:x:0:\nweb:x:33:\nextra:x:44:web\n" }, (upper) => {
      mkdirSync(join(upper, "bin"));
      copyFileSync("/bin/busybox", join(upper, "bin/busybox"));
      for (const name of APPLETS.split(" ")) symlinkSync("busybox", join(upper, "bin", name));
    });
    return bench;
  }

  /** What the next daemon does for one that was killed. */
  static async recover(root: string, parent: string): Promise<void> {
    await using bench = await ExecBench.open({ root, parent });
    await bench.runner.recover();
  }

  /** A committed snapshot of these files: text, or a link when it begins with "-> ". */
  async tree(files: Readonly<Record<string, string>>, fill?: (upper: string) => void): Promise<ChainId> {
    return await this.deps.snapshots.make(undefined, async ({ layout }) => {
      if (layout.kind !== "overlay") throw new Error("overlay expected");
      for (const [name, text] of Object.entries(files)) {
        const path = join(layout.upper, name);
        mkdirSync(dirname(path), { recursive: true });
        if (text.startsWith("-> ")) symlinkSync(text.slice(3), path);
        else writeFileSync(path, text);
      }
      fill?.(layout.upper);
    });
  }

  /** A step of `sh -c script` on the base, or on `root`. */
  async run(
    script: string | readonly string[],
    options: {
      op?: Partial<ExecOp>;
      mounts?: readonly ExecMount[];
      inputs?: readonly (ChainId | undefined)[];
      root?: ChainId | null;
      session?: Partial<BuildSession>;
      signal?: AbortSignal;
      entitlements?: readonly string[];
      log?: StepContext["progress"]["log"];
    } = {},
  ): Promise<Ran> {
    const said = { stdout: "", stderr: "" };
    const root = options.root === undefined ? this.base : options.root;
    const inputs = [root ?? undefined, ...(options.inputs ?? [])];
    const op = execOp({
      root: root === null ? undefined : 0,
      args: typeof script === "string" ? ["/bin/sh", "-c", script] : script,
      env: ["PATH=/bin"],
      mounts: options.mounts ?? [],
      network: "none",
      platform: { os: "linux", architecture: "amd64" },
      ...options.op,
    });
    const snapshot = await this.runner.run({
      vertex: { digest: "sha256:0" as Digest, op, inputs: [], name: "RUN", location: undefined, ignoreCache: false } satisfies Vertex,
      op,
      inputs: inputs.map(resultOf),
      session: sessionOf(options.session),
      signal: options.signal ?? new AbortController().signal,
      entitlements: options.entitlements ?? [],
      progress: {
        log:
          options.log ??
          ((stream, bytes) => {
            said[stream] += Buffer.from(bytes).toString();
            this.said[stream] += Buffer.from(bytes).toString();
          }),
        part: () => undefined,
      },
    });
    return { snapshot, ...said };
  }

  /** Names in the layer that a step made, as its tar would have them. */
  layer(snapshot: ChainId): readonly string[] {
    const names: string[] = [];
    for (const chunk of diffTar(this.deps.snapshots.layout(snapshot))) {
      for (let at = 0; at + 512 <= chunk.length && chunk[at] !== 0; ) {
        const header = Buffer.from(chunk.subarray(at, at + 512));
        const size = Number.parseInt(header.toString("latin1", 124, 135), 8) || 0;
        const name = header.toString("utf8", 0, 100).replace(/\0.*$/s, "");
        if (header[156] !== 0x78) names.push(name);
        at += 512 + Math.ceil(size / 512) * 512;
      }
    }
    return names;
  }

  /** Another runner on the same state: what a daemon that starts again has. */
  async restart(): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    this.runner = new ExecRunner(this.deps);
    await this.runner.recover();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    this.#seccomp[Symbol.dispose]();
    removeCgroup(cgroupPathsFor(this.hierarchy, this.layout.parent));
    rmSync(this.root, { recursive: true, force: true });
  }

  get snapshotter(): Snapshotter {
    return this.#snapshots;
  }
}
