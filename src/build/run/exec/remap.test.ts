import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { bindMapped, mountMaps, openMappingNamespace } from "../../../base/sys/mount/idmap.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import { NetworkBench, TestHost } from "../../../core/network/testdata/sandboxes.ts";
import type { ExecMount } from "../../graph.ts";
import type { StepRemap } from "./deps.ts";
import { ExecBench } from "./testdata/exec-bench.ts";

// A machine under load takes its time.
setDefaultTimeout(60_000);

const ranges = [{ containerID: 0, hostID: 300_000, size: 65_536 }];
const maps = { uid: ranges, gid: ranges };

test("with mapped ids a step's root is nobody on the host, and the disk has the ids that the step sees", async () => {
  await using _host = await TestHost.start();
  await using networks = new NetworkBench();
  await networks.service.restore(new Map());
  using namespace = await openMappingNamespace(mountMaps(maps));
  const view = mkdtempSync("/tmp/tug-exec-view-");
  const snapshotter: { of?: ExecBench["snapshotter"] } = {};
  const remap: StepRemap = {
    maps,
    root: { uid: 300_000, gid: 300_000 },
    bind: (source, target) => bindMapped(source, target, namespace),
    mount: (snapshot, _mounts, target) => {
      const { of } = snapshotter;
      if (!of) throw new Error("no snapshots yet");
      bindMapped(of.root, view, namespace);
      for (const part of of.mounts(snapshot, view)) mountSpec(part, target);
      unmountIfMounted(view);
    },
  };
  try {
    await using bench = await ExecBench.open({ networks: networks.service, overrides: { remap } });
    snapshotter.of = bench.snapshotter;
    const cache: ExecMount = {
      ...{ kind: "cache", target: "/c", id: "c", sharing: "shared", from: undefined, source: "" },
      ...{ readonly: false, mode: 0o700, uid: 33, gid: 33 },
    };
    const secret: ExecMount = {
      ...{ kind: "secret", target: "/run/s", env: undefined, id: "s", required: true },
      ...{ mode: 0o400, uid: 33, gid: 0 },
    };
    const script =
      "cat /proc/self/uid_map; id -u; touch /made; chown 33:33 /made; stat -c '%u %a' /c /run/s; echo x >/c/f";
    for (const network of ["default", "none"] as const) {
      const { stdout, snapshot } = await bench.run(script, {
        op: { network },
        mounts: [cache, secret, { kind: "bind", target: "/m", from: 0, source: "/etc", readonly: false }],
        session: { secret: async () => Buffer.from("some secret value") },
      });
      expect(stdout.replaceAll(/ +/g, " ")).toBe(" 0 300000 65536\n0\n33 700\n33 400\n");
      const layout = bench.deps.snapshots.layout(snapshot);
      if (layout.kind !== "overlay") throw new Error("overlay expected");
      expect(statSync(join(layout.upper, "made")).uid).toBe(33);
    }
    const refused = (op: object, entitlements: string[]) =>
      bench.run("true", { op, entitlements }).catch((error: unknown) => String(error));
    expect(await refused({ network: "host" }, ["network.host"])).toContain(
      "cannot share the host's network namespace",
    );
    expect(await refused({ security: "insecure" }, ["security.insecure"])).toContain(
      "incompatible with user namespaces",
    );
  } finally {
    rmSync(view, { recursive: true });
  }
});
