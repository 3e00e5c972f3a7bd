import { expect, test } from "bun:test";
import { hostname, totalmem } from "node:os";
import { systemClock } from "../../base/lib/clock.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { silentLog } from "../../base/lib/log.ts";
import { osRelease } from "../../base/lib/os-release.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { openDatabase } from "../../base/store/database.ts";
import { probeHost } from "../../core/runtime/host-facts.ts";
import { EventLog } from "../events/log.ts";
import { ImageWorld } from "../images/testdata/fakes.ts";
import type { SystemServiceDeps } from "./deps.ts";
import { SystemService } from "./service.ts";

function setUp() {
  const world = new ImageWorld();
  const events = new EventLog({ database: openDatabase(":memory:"), clock: systemClock, log: silentLog });
  const deps = {
    facts: {
      version: "1.2.3",
      gitCommit: "abc",
      buildTime: "2024-01-01T00:00:00Z",
      apiVersion: "1.56",
      minApiVersion: "1.24",
      id: "daemon-id",
      dataRoot: "/var/lib/tug",
      debug: false,
      experimental: false,
      labels: ["a=1"],
      proxy: { http: "http://user:secret@proxy:3128", https: "", no: "localhost" },
      insecureRegistries: ["10.0.0.0/8", "reg:5000"],
      registryMirrors: ["https://mirror/"],
      addressPools: [{ base: "172.17.0.0/12", size: 20 }],
      logDriver: "json-file",
      defaultRuntime: "crun",
      runtimes: { crun: { path: "/usr/bin/crun" } },
      initBinary: "",
      plugins: { Volume: ["local"], Network: ["bridge"], Authorization: [], Log: ["json-file"] },
      firewall: { Driver: "nftables", Info: [] },
      nri: null,
      securityOptions: ["name=seccomp,profile=builtin"],
      cgroupDriver: "cgroupfs",
      cdiSpecDirs: [],
      warnings: [],
    },
    host: probeHost(),
    components: [{ name: "crun", version: async () => "1.8.1" }],
    containers: {
      counts: () => ({ total: 3, running: 1, paused: 1 }),
      withSizes: async () => [
        { Id: "c1", State: "running", SizeRw: 5 },
        { Id: "c2", State: "exited", SizeRw: 7 },
      ],
    },
    images: world.images,
    snapshots: { ...world.deps.snapshots, list: () => [], status: () => [["Backing Filesystem", "extfs"]] },
    volumes: {
      list: () =>
        ["used", "free"].map((name) => ({ name, driver: "local", labels: {}, options: {}, scope: "local" })),
      usage: async () => 50,
      references: (name: string) => (name === "used" ? ["c1"] : []),
    },
    imageDeps: world.deps,
    registry: {
      login: async () => ({ status: "Login Succeeded", identityToken: "t" }),
      describe: async () => ({
        target: { mediaType: "m", digest: `sha256:${"a".repeat(64)}`, size: 5 },
        platforms: [{ os: "linux", architecture: "arm64", variant: "v8" }],
      }),
    },
    events,
    clock: systemClock,
  } as unknown as SystemServiceDeps;
  return { world, events, service: new SystemService(deps) };
}

test("info tells of this machine and this configuration", async () => {
  const info = await setUp().service.info();
  expect(info).toMatchObject({
    ID: "daemon-id",
    Containers: 3,
    ContainersRunning: 1,
    ContainersPaused: 1,
    ContainersStopped: 1,
    Driver: "overlay2",
    Name: hostname(),
    MemTotal: totalmem(),
    OSType: "linux",
    RuncCommit: { ID: "1.8.1" },
    HttpProxy: "http://xxxxx:xxxxx@proxy:3128",
    Swarm: { LocalNodeState: "inactive" },
  });
  expect(info.NFd).toBeGreaterThan(0);
  expect(info.RegistryConfig?.InsecureRegistryCIDRs).toContain("10.0.0.0/8");
  expect(Object.keys(info.RegistryConfig?.IndexConfigs ?? {})).toEqual(["docker.io", "reg:5000"]);
  expect(JSON.stringify(info)).not.toContain("secret");
});

test("version lists the engine and the programs it drives", async () => {
  const version = await setUp().service.version();
  expect(version).toMatchObject({ Version: "1.2.3", ApiVersion: "1.56", MinAPIVersion: "1.24", Os: "linux" });
  expect(version.Components?.map((one) => [one.Name, one.Version])).toEqual([
    ["Engine", "1.2.3"],
    ["crun", "1.8.1"],
  ]);
});

test("disk usage counts shared layers once and tells what could be freed", async () => {
  const { world, service } = setUp();
  for (const name of ["a", "b"]) {
    const image = world.images.make(name, { layers: ["base", name] });
    for (const chain of chainIds(image.layers)) world.chains.add(chain);
    if (name === "a") world.users.set(image.id, [{ id: "c1", running: true }]);
  }
  for (const image of world.images.list()) world.blobs.add(image.id as string as Digest);
  const usage = await service.diskUsage([], { verbose: false });
  expect(usage).toEqual({
    ImageUsage: { ActiveCount: 1, TotalCount: 2, TotalSize: 32, Reclaimable: 11 },
    ContainerUsage: { ActiveCount: 1, TotalCount: 2, TotalSize: 12, Reclaimable: 7 },
    VolumeUsage: { ActiveCount: 1, TotalCount: 2, TotalSize: 100, Reclaimable: 50 },
    BuildCacheUsage: { ActiveCount: 0, TotalCount: 0, TotalSize: 0, Reclaimable: 0 },
  });
  const volumes = await service.diskUsage(["volume"], { verbose: true });
  expect(Object.keys(volumes)).toEqual(["VolumeUsage"]);
  expect(volumes.VolumeUsage?.Items?.[0]).toMatchObject({
    Name: "used",
    UsageData: { Size: 50, RefCount: 1 },
  });
});

test("login and distribution speak for the registry client", async () => {
  const { service } = setUp();
  expect(await service.login({ username: "u" })).toEqual({ Status: "Login Succeeded", IdentityToken: "t" });
  expect(await service.distribution("busybox", undefined)).toMatchObject({
    Descriptor: { size: 5 },
    Platforms: [{ os: "linux", architecture: "arm64", variant: "v8" }],
  });
  await expect(service.distribution("A", undefined)).rejects.toThrow("must be lowercase");
});

test("os-release is read with and without quotes", () => {
  expect(osRelease('NAME="Debian \\"12\\""\nID=debian\nPRETTY_NAME=\'x y\'\n# c\n')).toEqual({
    NAME: 'Debian "12"',
    ID: "debian",
    PRETTY_NAME: "x y",
  });
});
