import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIp, parsePrefix } from "../../../src/base/lib/ip.ts";
import { parseDuration, parseTimestamp } from "../../../src/base/lib/timestamp.ts";
import { probeCgroups } from "../../../src/base/sys/cgroup/cgroup.ts";
import { parseMountInfo } from "../../../src/base/sys/mount/mountinfo.ts";
import { RootedDir } from "../../../src/base/sys/rooted-dir.ts";
import { loadConfig } from "../../../src/cli/config/config-file.ts";
import { decodeAuth } from "../../../src/cli/config/credentials.ts";
import { parseCsv } from "../../../src/cli/flags/flag.ts";
import { compileTemplate } from "../../../src/cli/format/template/execute.ts";
import { parseDevices, parseGpus } from "../../../src/cli/run/values/devices.ts";
import { readKeyValueFile } from "../../../src/cli/run/values/environment.ts";
import { parseMemory, parseUlimit } from "../../../src/cli/run/values/limits.ts";
import { parseMount } from "../../../src/cli/run/values/mount.ts";
import { parseNetwork } from "../../../src/cli/run/values/networks.ts";
import { parsePorts } from "../../../src/cli/run/values/ports.ts";
import { parseTmpfs, parseVolumes } from "../../../src/cli/run/values/volumes.ts";
import { parseMirror } from "../../../src/core/distribution/endpoints/endpoints.ts";
import { readHostsFile } from "../../../src/core/distribution/endpoints/hosts-toml.ts";
import { matchRegistriesConf } from "../../../src/core/distribution/endpoints/registries-conf.ts";
import { LogEncoder } from "../../../src/core/logging/spool/encode.ts";
import { RecordDecoder } from "../../../src/core/logging/spool/records.ts";
import { parseResolvConf } from "../../../src/core/network/files.ts";
import { readRecord } from "../../../src/core/runtime/drivers/conmon/task-record.ts";
import { lookupUser } from "../../../src/core/runtime/user.ts";
import { parseConfigFile } from "../../../src/daemon/config/values.ts";
import { parseVolumeSpec } from "../../../src/engine/containers/create/volume-spec.ts";
import { parsePublish } from "../../../src/engine/containers/publish.ts";
import { parsePs } from "../../../src/engine/containers/query/top.ts";
import { parseNetDev } from "../../../src/engine/stats/net-counters.ts";
import { fuzz } from "../../harness/fuzz.ts";

/** Files, flags and lines that people, images, monitors and kernels write. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fuzz-"));
  for (const name of ["root/etc", "hosts/r.example", "task"])
    mkdirSync(join(folder, name), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const put = (name: string, input: Uint8Array): string => {
  writeFileSync(join(folder, name), input);
  return join(folder, name);
};

const line = (text: string, how = "stdout F") => `2024-05-06T07:08:09.123456789Z ${how} ${text}\n`;
const options = { stdout: true, stderr: true, framed: true, timestamps: true, details: "" };
fuzz({
  name: "lines of the log spool",
  seeds: [
    line("hello") + line("part", "stdout P") + line("err", "stderr F"),
    line("x").replace("Z ", "+02:00 "),
    line("y".repeat(300)),
  ],
  words: [" stdout F ", " stderr P ", "\n", "2024-05-06T07:08:09.123456789Z", "+00:00"],
  refusals: [],
  run: (input) => {
    const whole = Buffer.concat([input, Buffer.from("\n")]);
    for (const record of new RecordDecoder({ stdout: true, stderr: true, follow: false }).decode(whole))
      expect(record.bytes.length).toBeLessThan(whole.length);
    for (const framed of [true, false]) {
      const encoder = new LogEncoder({ ...options, framed, timestamps: framed });
      expect(encoder.encode(whole, 0, whole.length).length).toBeLessThanOrEqual(whole.length);
    }
  },
});
fuzz({
  name: "a task's record on disk",
  seeds: [JSON.stringify({ id: "a", pid: 1, startTime: "5", monitor: { pid: 2 } })],
  refusals: [],
  rounds: 150,
  run: (input) => {
    put("task/task.json", input);
    readRecord(join(folder, "task"));
  },
});

fuzz({
  name: "passwd and group of an image",
  seeds: [
    "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\n",
    "root:x:0:\nweb:x:33:root,web\n",
  ],
  words: ["web", ":", "\n", "0", "2147483648", "-1", "#"],
  rounds: 250,
  run: (input) => {
    for (const name of ["passwd", "group"]) put(`root/etc/${name}`, input);
    using root = RootedDir.open(join(folder, "root"));
    for (const user of ["web", "33", "web:web", "0"]) {
      const { uid, gid, additionalGids } = lookupUser(root, user, []);
      for (const id of [uid, gid, ...additionalGids]) expect(id >= 0 && id <= 2 ** 31 - 1).toBe(true);
    }
  },
});
const mount =
  "36 35 98:0 /mnt1 /mnt2\\040x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n";
const cgroups =
  "30 25 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n31 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
fuzz({
  name: "mountinfo",
  seeds: [mount, cgroups],
  words: [" - ", "\\040", "cgroup2"],
  refusals: [],
  run: (input) => parseMountInfo(input.toString("latin1")),
});
fuzz({
  name: "cgroup hierarchies",
  seeds: [cgroups],
  words: [" - ", "cgroup2", "/sys/fs/cgroup"],
  refusals: [],
  run: (input) => probeCgroups(input.toString("latin1")),
});
fuzz({
  name: "/proc/net/dev",
  seeds: ["Inter-|   Receive\n face |bytes\n eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"],
  refusals: [],
  run: (input) => parseNetDev(input.toString("latin1")),
});
fuzz({
  name: "what ps prints",
  seeds: ["UID PID CMD\nroot 1 sh -c x\nroot 22 sleep 1\n"],
  words: ["PID", " 1 "],
  run: (input) => parsePs(input.toString("latin1"), new Set([1, 22])),
});
fuzz({
  name: "resolv.conf",
  seeds: ["nameserver 1.1.1.1\nsearch a b\noptions ndots:1\n# x\n"],
  words: ["nameserver ", "search "],
  refusals: [],
  run: (input) => parseResolvConf(input.toString("latin1")),
});

const toml =
  'server = "https://r.example"\n[host."https://m.example/v2"]\ncapabilities = ["pull", "resolve"]\nca = "ca.crt"\nskip_verify = true\ndial_timeout = "1s"\n[host."https://m.example/v2".header]\nx = ["y"]\n';
fuzz({
  name: "hosts.toml",
  seeds: [toml],
  words: ["[host.", '"', "= ", "capabilities", "override_path = true\n", "'''", "[[", "0x", "inf"],
  rounds: 150,
  run: (input) => {
    put("hosts/r.example/hosts.toml", input);
    readHostsFile([join(folder, "hosts")], "r.example");
  },
});
const conf =
  'unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "*.example"\nlocation = "r.example/x"\ninsecure = true\nblocked = false\n[[registry.mirror]]\nlocation = "m.example"\npull-from-mirror = "digest-only"\n';
fuzz({
  name: "registries.conf",
  seeds: [conf],
  words: ["[[registry]]", "prefix", "location", '"', "= "],
  rounds: 150,
  run: (input) => matchRegistriesConf(put("registries.conf", input), { domain: "r.example", path: "a/b" }),
});
fuzz({
  name: "mirrors",
  seeds: ["https://m.example:5000/", "http://[::1]/x"],
  words: ["http://", "@", "?"],
  run: (input) => parseMirror(input.toString()),
});
fuzz({
  name: "config.json of the client",
  seeds: [
    '{"auths":{"r.example":{"auth":"YTpi"}},"credHelpers":{"a":"b"},"proxies":{"default":{"httpProxy":"x"}}}',
  ],
  words: ["auths", '"auth"', "null", "[]"],
  rounds: 150,
  run: async (input) => {
    put("config.json", input);
    await loadConfig({}, folder);
  },
});
fuzz({
  name: "stored credentials",
  seeds: ["YTpi", "YTo="],
  run: (input) => decodeAuth("r.example", { auth: input.toString("latin1") }),
});
fuzz({
  name: "daemon.json",
  seeds: [
    '{"data-root":"/x","hosts":["unix:///a"],"log-opts":{"a":"b"},"debug":true,"mtu":1500,"default-address-pools":[{"base":"10.0.0.0/8","size":24}]}',
  ],
  words: ["null", "true", "[]", "{}"],
  run: (input) => parseConfigFile("daemon.json", input.toString()),
});
fuzz({
  name: "files of variables",
  seeds: ["A=b\n# c\nHOME\n X=y \n", "\ufeffA=b\r\n"],
  words: ["\ufeff", "=", "\n", "#"],
  rounds: 150,
  run: (input) =>
    readKeyValueFile(put("env", input), { A: "x" } as unknown as Parameters<typeof readKeyValueFile>[1]),
});

const data = { Name: "n", List: [1, 2], Map: { a: { b: "c" } }, Null: null, Flag: true };
fuzz({
  name: "templates of --format",
  seeds: [
    "{{.Name}} {{json .Map}}",
    '{{range $i, $e := .List}}{{if gt $e 1}}{{printf "%5d|%-8s|%q" $e "x" .}}{{else}}-{{end}}{{end}}',
    '{{with index .Map "a"}}{{.b | upper}}{{end}}{{/* c */}}',
    '{{define "x"}}{{.}}{{end}}{{template "x" .Name}}',
    "table {{.Name}}\\t{{len .List}}",
  ],
  words: [
    "{{",
    "}}",
    "range ",
    "end",
    "printf ",
    '"%99999999s"',
    "%*d",
    "template ",
    "define ",
    "|",
    "(",
    "$x := ",
    "index ",
    "slice ",
    '"x"',
    ".Map.a.b",
  ],
  rounds: 800,
  run: (input) => {
    const printed = compileTemplate(input.toString())(data);
    expect(printed.length).toBeLessThan(64 << 20);
  },
});
const flags: readonly (readonly [string, readonly string[], (text: string) => unknown])[] = [
  ["--publish", ["80", "127.0.0.1:8080:80/tcp", "[::1]:1-9:1-9/udp"], (text) => parsePorts([text], [])],
  ["--expose", ["80/tcp", "1-65535"], (text) => parsePorts([], [text])],
  ["--volume", ["/a:/b:ro,z", "v:/b", "/c"], (text) => parseVolumes([text])],
  ["--tmpfs", ["/a:size=5m,mode=1777"], (text) => parseTmpfs([text])],
  [
    "--mount",
    ["type=bind,source=/a,target=/b,readonly", 'type=volume,dst=/x,"volume-opt=a=b,c"'],
    parseMount,
  ],
  ["--network", ["name=n,alias=x,ip=1.2.3.4,driver-opt=a=b"], parseNetwork],
  ["--device", ["/dev/null:/dev/x:rwm", "vendor.com/class=dev"], (text) => parseDevices([text])],
  ["--gpus", ["all", "2", '"device=0,1",capabilities=utility'], parseGpus],
  ["--ulimit", ["nofile=1:2", "core=-1"], parseUlimit],
  ["--memory", ["5m", "1.5g", "-1"], (text) => parseMemory(text)],
  ["CSV", ['a,"b,""c""",d'], parseCsv],
  ["ports of the engine", ["1.2.3.4:80:80/tcp", "8080-8090:80-90"], parsePublish],
  ["binds of the engine", ["/a:/b:ro", "v:/b:nocopy"], parseVolumeSpec],
];
for (const [name, seeds, parse] of flags) {
  fuzz({
    name: `flags: ${name}`,
    seeds,
    words: [":", "-", "0-65535", "=", ",", '"', "tcp"],
    run: (input) => parse(input.toString()),
  });
}
fuzz({
  name: "addresses, prefixes, durations and times",
  seeds: ["1.2.3.4/8", "fd00::1/64", "1h2m3.5s", "2024-05-06T07:08:09.1Z", "1700000000.5", "::ffff:1.2.3.4"],
  words: ["::", ".", "/", "h", "T", "Z", "+00:00"],
  refusals: [],
  run: (input) => {
    const text = input.toString("latin1");
    for (const parse of [parseIp, parsePrefix, parseDuration, (each: string) => parseTimestamp(each, 0)])
      parse(text);
  },
});
