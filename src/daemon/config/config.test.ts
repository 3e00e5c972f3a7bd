import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instanceNames, loadConfig } from "./config.ts";
import { parseFlags } from "./values.ts";

const load = (...args: string[]) => loadConfig(parseFlags(["--config-file", "/dev/null", ...args]));

function withFile<T>(content: string, use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "tug-config-"));
  try {
    const path = join(directory, "daemon.json");
    writeFileSync(path, content);
    return use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("without arguments everything lies in the default places", () => {
  const config = load();
  expect(config.hosts).toEqual([{ kind: "unix", path: "/run/tug/tug.sock" }]);
  expect([config.dataRoot, config.execRoot, config.pidFile]).toEqual([
    "/var/lib/tug",
    "/run/tug",
    "/run/tug/tug.pid",
  ]);
  expect([config.instance, config.defaultBridge]).toEqual(["tug", "tug0"]);
});

test("another data root has names of its own everywhere", () => {
  const { instance, bridge } = instanceNames("/tmp/other");
  expect(instance).toMatch(/^tug-[0-9a-f]{8}$/);
  expect(bridge).toMatch(/^tug[0-9a-f]{8}$/);
  expect(instanceNames("/tmp/another").instance).not.toBe(instance);
});

test("hosts come in dockerd's forms", () => {
  const config = load(
    "-H",
    "unix:///tmp/a.sock",
    "-H=tcp://0.0.0.0:2375",
    "--host",
    "fd://",
    "-H",
    "tcp://:99",
  );
  expect(config.hosts).toEqual([
    { kind: "unix", path: "/tmp/a.sock" },
    { kind: "tcp", host: "0.0.0.0", port: 2375 },
    { kind: "fd", name: "" },
    { kind: "tcp", host: "localhost", port: 99 },
  ]);
  expect(() => load("-H", "udp://x")).toThrow("invalid bind address format: udp://x");
});

test("unknown flags and words are refused by name", () => {
  expect(() => load("--nope")).toThrow("unknown flag: --nope");
  expect(() => load("-Z")).toThrow("unknown shorthand flag: 'Z' in -Z");
  expect(() => load("--mtu", "big")).toThrow('invalid argument "big" for "--mtu" flag');
  expect(() => load("extra")).toThrow("accepts no arguments");
});

test("the file speaks where flags are silent, and contradiction is refused in dockerd's words", () => {
  withFile('{"debug": true, "hosts": ["tcp://127.0.0.1:1"], "log-opts": {"max-size": "5m"}}', (path) => {
    const config = loadConfig(parseFlags(["--config-file", path]));
    expect([config.debug, config.logOptions["max-size"]]).toEqual([true, "5m"]);
    expect(() => loadConfig(parseFlags(["--config-file", path, "--debug=false"]))).toThrow(
      "the following directives are specified both as a flag and in the configuration file: debug: (from flag: false, from file: true)",
    );
  });
  withFile('{"no-such-key": 1}', (path) => {
    expect(() => loadConfig(parseFlags(["--config-file", path]))).toThrow(
      "the following directives don't match any configuration option: no-such-key",
    );
  });
  expect(() => loadConfig(parseFlags(["--config-file", "/nonexistent/daemon.json"]))).toThrow(
    "open /nonexistent/daemon.json: no such file or directory",
  );
});
