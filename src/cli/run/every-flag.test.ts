import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../client/address.ts";
import { Client } from "../../client/client.ts";
import { parseFlags } from "../flags/parse.ts";
import { containerFlags } from "./flags.ts";
import { containerSpec } from "./spec.ts";

type Name = keyof typeof containerFlags;

/** Values that differ from the default where "1" is none that the flag takes. */
const values: Partial<Record<Name, readonly string[]>> = {
  "add-host": ["--add-host=a:1.2.3.4"],
  annotation: ["--annotation=a=b"],
  attach: ["--attach=stderr"],
  "blkio-weight": ["--blkio-weight=10"],
  "blkio-weight-device": ["--blkio-weight-device=/dev/null:10"],
  cgroupns: ["--cgroupns=private"],
  "depends-on": ["--depends-on=other"],
  device: ["--device=/dev/null"],
  "device-cgroup-rule": ["--device-cgroup-rule=c 1:3 r"],
  "device-read-bps": ["--device-read-bps=/dev/null:1mb"],
  "device-read-iops": ["--device-read-iops=/dev/null:1"],
  "device-write-bps": ["--device-write-bps=/dev/null:1mb"],
  "device-write-iops": ["--device-write-iops=/dev/null:1"],
  dns: ["--dns=1.2.3.4"],
  "dns-search": ["--dns-search=example.org"],
  env: ["--env=A=b"],
  gpus: ["--gpus=all"],
  "health-interval": ["--health-interval=1s", "--health-cmd=x"],
  "health-on-failure": ["--health-on-failure=kill", "--health-cmd=x"],
  "health-retries": ["--health-retries=7", "--health-cmd=x"],
  "health-start-interval": ["--health-start-interval=1s", "--health-cmd=x"],
  "health-start-period": ["--health-start-period=1s", "--health-cmd=x"],
  "health-timeout": ["--health-timeout=1s", "--health-cmd=x"],
  ip: ["--ip=10.0.0.9", "--network=n"],
  ip6: ["--ip6=fd00::9", "--network=n"],
  ipc: ["--ipc=host"],
  link: ["--link=a:b"],
  "link-local-ip": ["--link-local-ip=169.254.1.1", "--network=n"],
  "log-opt": ["--log-opt=a=b"],
  "mac-address": ["--mac-address=92:d0:c6:0a:29:33"],
  memory: ["--memory=8m"],
  mount: ["--mount=type=tmpfs,dst=/x"],
  network: ["--network=n"],
  "network-alias": ["--network-alias=a", "--network=n"],
  "oom-score-adj": ["--oom-score-adj=3"],
  pid: ["--pid=host"],
  publish: ["--publish=80"],
  expose: ["--expose=80"],
  restart: ["--restart=always"],
  rm: ["--rm"],
  secret: ["--secret=s"],
  "security-opt": ["--security-opt=no-new-privileges"],
  "storage-opt": ["--storage-opt=size=1g"],
  sysctl: ["--sysctl=net.core.somaxconn=9"],
  tmpfs: ["--tmpfs=/x"],
  ulimit: ["--ulimit=nofile=1"],
  userns: ["--userns=host"],
  uts: ["--uts=host"],
  volume: ["--volume=/x"],
};

/** Flags that are no part of the request's body, and what they do. */
const elsewhere: Partial<Record<Name, string>> = {
  cidfile: "a file that the client writes",
  "cpu-count": "refused: Windows only",
  "cpu-percent": "refused: Windows only",
  "disable-content-trust": "refused when it asks for signatures",
  help: "the help page",
  "io-maxbandwidth": "refused: Windows only",
  "io-maxiops": "refused: Windows only",
  "kernel-memory": "gone from the API since 1.42",
  name: "a parameter of the request",
  platform: "a parameter of the request",
  pull: "whether the image is pulled before",
  quiet: "the progress of that pull",
  "use-api-socket": "mounted by the command before the request",
};

test("every flag of run and create reaches the request, or is listed as something else", () => {
  const folder = mkdtempSync(join(tmpdir(), "tug-flags-"));
  try {
    const file = join(folder, "file");
    writeFileSync(file, "A=b\n");
    const special: typeof values = {
      ...values,
      "env-file": [`--env-file=${file}`],
      "label-file": [`--label-file=${file}`],
    };
    const request = (argv: readonly string[]) => {
      const parsed = parseFlags(containerFlags, [...argv, "image"], false);
      const build = containerSpec({
        values: parsed.values,
        changed: parsed.changed,
        image: "image",
        command: [],
        env: {},
        proxies: [],
      });
      return JSON.stringify(build(new Client({ address: parseAddress("unix:///nowhere"), version: "1.56" })));
    };
    const ignored: string[] = [];
    for (const [name, flag] of Object.entries(containerFlags)) {
      if (name in elsewhere) continue;
      const argv = special[name as Name] ?? [flag.kind === "" ? `--${name}` : `--${name}=1`];
      // Without the flag itself, but with what it needs to stand.
      if (request(argv) === request(argv.slice(1))) ignored.push(name);
    }
    expect(ignored).toEqual([]);
    expect(Object.keys(elsewhere).filter((name) => !(name in containerFlags))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every flag says in help what it is for", () => {
  for (const [name, flag] of Object.entries(containerFlags))
    expect(`${name}: ${flag.help.length > 5}`).toBe(`${name}: true`);
});
