import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { messageOf } from "../../base/lib/errors.ts";
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

test("values that dockerd refuses are refused in its words", () => {
  const refused: readonly (readonly [string, string])[] = [
    ["--max-concurrent-downloads=-1", "invalid max concurrent downloads: -1"],
    ["--max-concurrent-uploads=-2", "invalid max concurrent uploads: -2"],
    ["--max-download-attempts=0", "invalid max download attempts: 0"],
    [
      "--default-ipc-mode=host",
      'IPC mode "host" is not supported as default value; use "shareable" or "private"',
    ],
    ["--default-ipc-mode=foo", 'default IPC mode setting (foo) is invalid; use "shareable" or "private"'],
    [
      "--default-cgroupns-mode=foo",
      'default cgroup namespace mode (foo) is invalid; use "host" or "private"',
    ],
    [
      "--default-ulimit=nofile=5:3",
      'invalid argument "nofile=5:3" for "--default-ulimit" flag: ulimit soft limit must be less than or equal to hard limit: 5 > 3',
    ],
    ["--default-ulimit=foo=3", "invalid ulimit type: foo"],
    ["--exec-opt=native.cgroupdriver=foo", "native.cgroupdriver option foo not supported"],
    ["--default-runtime=nosuch", "specified default runtime 'nosuch' does not exist"],
    ["--add-runtime=runc=/x", "runtime name 'runc' is reserved"],
    ["--label=foo", "bad attribute format: foo"],
    ["--dns=foo", "foo is not an ip address"],
    ["--registry-mirror=foo", 'invalid mirror: unsupported scheme "" in "foo"'],
    [
      "--registry-mirror=http://foo/path",
      'invalid mirror: path, query, or fragment at end of the URI "http://foo/path"',
    ],
    ["--storage-opt=foo", "error initializing graphdriver: Unable to parse key/value option: foo"],
    ["--authorization-plugin=x", 'failed to validate authorization plugin: plugin "x" not found'],
    ["--firewall-backend=iptables", 'invalid firewall-backend "iptables"'],
    [
      "--default-address-pool=foo",
      'invalid argument "foo" for "--default-address-pool" flag: invalid field \'foo\' must be a key=value pair',
    ],
    ["--default-address-pool=base=10.0.0.0,size=24", 'invalid base pool "10.0.0.0": invalid CIDR address'],
    ["--default-address-pool=base=10.0.0.0/8,size=4", "invalid pools size: 4"],
    ["--log-format=xml", "invalid logging format: xml"],
    ["--default-network-opt=bridge", 'invalid argument "bridge" for "--default-network-opt" flag'],
  ];
  for (const [flag, words] of refused) expect(() => load(flag)).toThrow(words);
  expect(() => load("--label=a=1", "--label=a=2")).toThrow("conflict labels for a=2 and a=1");
  expect(() => load("--bip=10.0.0.1/24", "--bridge=x")).toThrow("You specified -b & --bip");
  expect(() => load("--icc=false", "--iptables=false")).toThrow(
    "You specified --iptables=false with --icc=false",
  );
  // Docker's zero is no bound, and options of others' drivers are none of ours.
  const config = load("--max-concurrent-downloads=0", "--exec-opt=isolation=process");
  expect([config.maxConcurrentDownloads, config.cgroupDriver]).toEqual([Number.POSITIVE_INFINITY, undefined]);
  const pools = load("--default-address-pool", "base=10.0.0.0/8,size=24").addressPools;
  expect(pools).toEqual([{ base: "10.0.0.0/8", size: 24 }]);
  expect(load("--exec-opt", "native.cgroupdriver=systemd").cgroupDriver).toBe("systemd");
});

test("runtimes come with arguments, or said through containerd's shim for runc", () => {
  const own = { path: "/opt/own", runtimeArgs: ["--debug"] };
  const shim = { runtimeType: "io.containerd.runc.v2", options: { BinaryName: "/opt/shimmed" } };
  withFile(JSON.stringify({ runtimes: { own, shim }, "default-runtime": "own" }), (path) => {
    const config = loadConfig(parseFlags(["--config-file", path, "--add-runtime", "flag=/opt/flag"]));
    expect(config.runtimes).toEqual({
      own: { path: "/opt/own", args: ["--debug"] },
      shim: { path: "/opt/shimmed", args: [] },
      flag: { path: "/opt/flag", args: [] },
    });
    expect(config.defaultRuntime).toBe("own");
  });
  for (const [value, words] of [
    [{}, "either a runtimeType or a path must be configured"],
    [{ path: "/a", runtimeType: "b" }, "cannot configure both path and runtimeType"],
    [{ runtimeType: "io.containerd.kata.v2" }, "runtimeType io.containerd.kata.v2 needs containerd"],
    [{ path: "/a", runtimeArgs: "-x" }, "runtimeArgs must be strings"],
  ] as const) {
    withFile(JSON.stringify({ runtimes: { x: value } }), (path) => {
      expect(() => loadConfig(parseFlags(["--config-file", path]))).toThrow(words);
    });
  }
});

test("keys that stand in groups in the file, and values of the wrong kind", () => {
  withFile('{"proxies": {"http-proxy": "http://p:1", "no-proxy": "a"}, "builder": {"gc": {}}}', (path) => {
    expect(loadConfig(parseFlags(["--config-file", path])).proxy).toEqual({
      http: "http://p:1",
      https: "",
      no: "a",
    });
  });
  withFile('{"proxies": {"ftp-proxy": "x"}}', (path) => {
    expect(() => loadConfig(parseFlags(["--config-file", path]))).toThrow(
      "the following directives don't match any configuration option: proxies.ftp-proxy",
    );
  });
  withFile('{"debug": "x"}', (path) => {
    expect(() => loadConfig(parseFlags(["--config-file", path]))).toThrow(
      "json: cannot unmarshal string into Go struct field Config.debug of type bool",
    );
  });
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

test("a file that is damaged, or written by hand and wrong, is refused in one line that names file, place and reason", () => {
  const wrong: Readonly<Record<string, string>> = {
    '{"debug": true,\n}':
      "invalid character '}' looking for beginning of object key string (line 2, column 1)",
    "[]": "json: cannot unmarshal array into Go value of type map[string]interface {}",
    '{"data-root": 5}': "json: cannot unmarshal number into Go struct field Config.data-root of type string",
    '{"dns": [1]}': "json: cannot unmarshal number into Go struct field Config.dns of type string",
    '{"labels": [["a=b"]]}': "json: cannot unmarshal array into Go struct field Config.labels of type string",
    '{"log-opts": {"max-size": {}}}':
      "json: cannot unmarshal object into Go struct field Config.log-opts of type string",
    '{"default-network-opts": {"bridge": "x"}}': "Go struct field Config.default-network-opts",
    '{"default-ulimits": {"nofile": 5}}': "default-ulimits: nofile: {",
    '{"__proto__": {"debug": true}}': "don't match any configuration option: __proto__",
    '{"log-level": "loud"}':
      "merged configuration validation from file and command line flags failed: invalid logging level: loud",
    [`{"labels": ["${"x".repeat(100_000)}"]}`]: "bad attribute format: xxx",
    [" ".repeat(4 * 1024 * 1024 + 1)]: "it is larger than 4 MiB",
    "{\udc00}": "invalid character",
  };
  const refusal = (path: string): string => {
    try {
      loadConfig(parseFlags(["--config-file", path]));
    } catch (error) {
      return messageOf(error);
    }
    return "";
  };
  for (const [text, words] of Object.entries(wrong)) {
    withFile(text, (path) => {
      expect(refusal(path)).toContain(words);
      expect(refusal(path)).toStartWith(`unable to configure the Docker daemon with file ${path}: `);
      expect(refusal(path).length).toBeLessThan(1000);
    });
  }
  withFile("{}", (path) => {
    writeFileSync(path, Buffer.from([0x7b, 0xe9, 0x7d]));
    expect(refusal(path)).toEndWith("it is not UTF-8 text: save it in that encoding");
    expect(refusal(`${path}/x`)).toEndWith("daemon.json/x: not a directory");
    expect(refusal(dirname(path))).toEndWith(": is a directory");
    expect(refusal("/dev/zero")).toEndWith("is it the right file?");
  });
});

test("what dockerd makes nothing of is as if it were not there: nothing but space, a byte order mark, null, a key's first value", () => {
  const read = (text: string | Buffer) => {
    let found: ReturnType<typeof loadConfig> | undefined;
    withFile("", (path) => {
      writeFileSync(path, text);
      found = loadConfig(parseFlags(["--config-file", path]));
    });
    return [found?.debug, found?.repeated];
  };
  expect(read(" \n")).toEqual([false, []]);
  expect(read('\ufeff{"debug": true}')).toEqual([true, []]);
  expect(read(Buffer.from('\ufeff{"debug": true}', "utf16le"))).toEqual([true, []]);
  expect(read('{"debug": null, "data-root": null}')).toEqual([false, []]);
  expect(read('{"debug": true, "debug": false, "log-opts": {"a": "1", "a": "2"}}')).toEqual([
    false,
    ["debug", "log-opts.a"],
  ]);
});
