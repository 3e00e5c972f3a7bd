import { expect, test } from "bun:test";
import type { ContainerConfig, HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { validateConfig, validateHost } from "./validate.ts";

const check = (host: HostConfig, config: ContainerConfig = {}) => {
  const warnings: string[] = [];
  validateHost(host, config, { runtimes: ["crun"], warn: (text) => void warnings.push(text) });
  return warnings;
};

test("a config that cannot work is refused before anything is made", () => {
  const refused: readonly (readonly [ContainerConfig, string])[] = [
    [{ WorkingDir: "rel" }, "the working directory 'rel' is invalid, it needs to be an absolute path"],
    [{ Env: ["=x"] }, "invalid environment variable: =x"],
    [{ Env: ["A=\0"] }, "invalid environment variable"],
    [{ StopSignal: "NOSUCH" }, "invalid signal: NOSUCH"],
    [{ Hostname: "x".repeat(65) }, "hostname"],
    [{ Healthcheck: { Interval: 5 } }, "Interval in Healthcheck cannot be less than 1ms"],
    [{ Healthcheck: { Retries: -1 } }, "Retries in Healthcheck cannot be negative"],
  ];
  for (const [config, text] of refused) expect(() => validateConfig(config)).toThrow(text);
  validateConfig({ WorkingDir: "/ok", Env: ["A=1", "B"], StopSignal: "SIGRTMIN+3", Hostname: "h" });
});

test("modes that exclude each other are refused in dockerd's words", () => {
  const refused: readonly (readonly [HostConfig, ContainerConfig, string])[] = [
    [
      { AutoRemove: true, RestartPolicy: { Name: "always" } },
      {},
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ NetworkMode: "container:x" }, { Hostname: "h" }, "conflicting options: hostname and the network mode"],
    [
      { NetworkMode: "container:x", PublishAllPorts: true },
      {},
      "port publishing and the container type network mode",
    ],
    [{ NetworkMode: "host", Links: ["a:b"] }, {}, "host type networking can't be used with links"],
    [{ UTSMode: "host" }, { Hostname: "h" }, "conflicting options: hostname and the UTS mode"],
    [{ PidMode: "odd" }, {}, "invalid PID mode: odd"],
    [{ IpcMode: "odd" }, {}, "invalid IPC mode: odd"],
    [{ Runtime: "nope" }, {}, "unknown or invalid runtime name: nope"],
    [{ OomScoreAdj: 2000 }, {}, "range for oom score adj is [-1000, 1000]"],
    [{ ExtraHosts: ["noip"] }, {}, 'bad format for add-host: "noip"'],
    [{ ExtraHosts: ["a:b"] }, {}, 'invalid IP address in add-host: "b"'],
  ];
  for (const [host, config, text] of refused) expect(() => check(host, config)).toThrow(text);
  check({ ExtraHosts: ["a:1.2.3.4", "b:::1", "c:host-gateway", "d=[::1]"] });
});

test("ports are discarded with a warning on the host's network", () => {
  expect(check({ NetworkMode: "host", PortBindings: { "80/tcp": [{ HostPort: "80" }] } })).toEqual([
    "Published ports are discarded when using host network mode",
  ]);
});

test("sysctls outside the container's own namespaces, or with a second setting in the value, are refused", () => {
  check({ Sysctls: { "net.ipv4.ip_forward": "1", "kernel.msgmax": "65536" } });
  for (const Sysctls of [
    { "kernel.core_pattern": "|/x" },
    { "vm.swappiness": "1" },
    { "net.ipv4.ip_forward": "1+kernel.core_pattern=|x" },
    { "net.ipv4.ip_forward": "1\nkernel.x=1" },
    { "net.../x y": "1" },
  ] as Record<string, string>[]) {
    expect(() => check({ Sysctls })).toThrow("sysctl");
  }
  expect(() => check({ NetworkMode: "host", Sysctls: { "net.ipv4.ip_forward": "1" } })).toThrow(
    "conflicting host network namespace",
  );
});
