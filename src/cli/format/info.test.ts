import { expect, test } from "bun:test";
import type { SystemInfo } from "../../base/spec/docker/api.gen.ts";
import { serverInfo } from "./info.ts";
import { infoTemplate } from "./info-template.ts";

const info: SystemInfo = {
  ID: "7a3f",
  Containers: 3,
  ContainersRunning: 2,
  ContainersPaused: 0,
  ContainersStopped: 1,
  Images: 4,
  Driver: "overlay2",
  DriverStatus: [["Backing Filesystem", "extfs"]],
  DockerRootDir: "/var/lib/tug",
  Plugins: { Volume: ["local"], Network: ["bridge", "host", "null"], Log: ["json-file", "local"] },
  LoggingDriver: "json-file",
  CgroupDriver: "cgroupfs",
  CgroupVersion: "2",
  KernelVersion: "6.18.0",
  OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
  OSType: "linux",
  Architecture: "x86_64",
  NCPU: 2,
  MemTotal: 25275269120,
  Name: "vm",
  ServerVersion: "0.1.0",
  Runtimes: { runc: { path: "runc" }, crun: { path: "crun" } },
  DefaultRuntime: "crun",
  Swarm: { LocalNodeState: "inactive" },
  SecurityOptions: ["name=seccomp,profile=builtin", "name=cgroupns"],
  Labels: ["a=b"],
  RegistryConfig: {
    InsecureRegistryCIDRs: ["127.0.0.0/8"],
    IndexConfigs: {
      "docker.io": { Name: "docker.io", Secure: true },
      "reg:5000": { Name: "reg:5000", Secure: false },
    },
    Mirrors: ["http://mirror:5000/"],
  },
  LiveRestoreEnabled: true,
  DefaultAddressPools: [{ Base: "172.17.0.0/12", Size: 16 }],
  FirewallBackend: { Driver: "nftables" },
};

test("info is laid out as Docker's", () => {
  expect(serverInfo(info)).toBe(` Containers: 3
  Running: 2
  Paused: 0
  Stopped: 1
 Images: 4
 Server Version: 0.1.0
 Storage Driver: overlay2
  Backing Filesystem: extfs
 Logging Driver: json-file
 Cgroup Driver: cgroupfs
 Cgroup Version: 2
 Plugins:
  Volume: local
  Network: bridge host null
  Log: json-file local
 Swarm: inactive
 Runtimes: crun runc
 Default Runtime: crun
 Init Binary: 
 containerd version: 
 runc version: 
 init version: 
 Security Options:
  seccomp
   Profile: builtin
  cgroupns
 Kernel Version: 6.18.0
 Operating System: Debian GNU/Linux 12 (bookworm)
 OSType: linux
 Architecture: x86_64
 CPUs: 2
 Total Memory: 23.54GiB
 Name: vm
 ID: 7a3f
 Docker Root Dir: /var/lib/tug
 Debug Mode: false
 Labels:
  a=b
 Experimental: false
 Insecure Registries:
  reg:5000
  127.0.0.0/8
 Registry Mirrors:
  http://mirror:5000/
 Live Restore Enabled: true
 Default Address Pools:
   Base: 172.17.0.0/12, Size: 16
 Firewall Backend: nftables
`);
});

test("a daemon in debug mode tells about itself", () => {
  const text = serverInfo({
    ...info,
    Debug: true,
    NFd: 20,
    NGoroutines: 5,
    SystemTime: "now",
    NEventsListener: 1,
  });
  expect(text).toContain(
    " Debug Mode: true\n  File Descriptors: 20\n  Goroutines: 5\n  System Time: now\n  EventsListeners: 1\n",
  );
});

test("a template sees Go's names and what JSON leaves out", () => {
  const run = (format: string) =>
    infoTemplate(format)({ ...info, Plugins: { ...info.Plugins, Authorization: null } });
  expect(run("{{.Driver}} {{.HTTPProxy}}{{.ProductLicense}}{{.Warnings}} {{.ID}}")).toBe("overlay2 [] 7a3f");
  expect(run("{{.Plugins}}")).toBe("{[local] [bridge host null] [] [json-file local]}");
  expect(() => run("{{.Nope}}")).toThrow("can't evaluate field Nope in type system.dockerInfo");
});

test("without a daemon a template finds empty fields, and a malformed one ends with 64", () => {
  expect(infoTemplate("<{{.ServerVersion}}>")({})).toBe("<>");
  expect(() => infoTemplate("{{")).toThrow("template parsing error: template: :1: unclosed action");
});
