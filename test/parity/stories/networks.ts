import type { Story } from "../story.ts";

const everything =
  "{{.Name}} {{.Driver}} {{.Scope}} {{json .IPAM}} {{.EnableIPv6}} {{.Internal}} {{.Attachable}} {{json .ConfigFrom}} {{.ConfigOnly}} {{json .Options}} {{json .Labels}}";

/** Networks made for other networks. */
export const networks: readonly Story[] = [
  {
    name: "configuration networks",
    steps: [
      [
        "network",
        "create",
        "--config-only",
        "--subnet",
        "10.205.0.0/24",
        "--gateway",
        "10.205.0.9",
        "--label",
        "a=b",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "cfg",
      ],
      ["network", "inspect", "-f", everything, "cfg"],
      ["network", "create", "--config-only", "--internal", "cfg2"],
      ["network", "create", "--config-only", "--attachable", "cfg2"],
      ["network", "create", "--config-only", "--config-from", "cfg", "cfg2"],
      ["network", "create", "--config-only", "--ipv6", "--subnet", "fd00:77::/64", "cfg6"],
      ["network", "inspect", "-f", everything, "cfg6"],
      ["network", "create", "--config-from", "nosuch", "net"],
      ["network", "create", "--config-from", "bridge", "net"],
      ["network", "create", "--config-from", "cfg", "--subnet", "10.1.0.0/16", "net"],
      ["network", "create", "--config-from", "cfg", "--label", "x=y", "net"],
      ["network", "create", "--config-from", "cfg", "--ipv6", "net"],
      ["network", "create", "--config-from", "cfg", "-o", "x=y", "net"],
      ["network", "create", "--config-from", "cfg", "--internal", "net"],
      ["network", "inspect", "-f", everything, "net"],
      [
        "run",
        "--rm",
        "--network",
        "net",
        "busybox",
        "sh",
        "-c",
        "cat /sys/class/net/eth0/mtu; ip -4 -o addr show eth0 | awk '{print $4}'",
      ],
      ["run", "--name", "pp", "--network", "cfg", "busybox", "true"],
      ["rm", "pp"],
      ["run", "-d", "--name", "pp", "busybox", "sleep", "100"],
      ["network", "connect", "cfg", "pp"],
      ["network", "rm", "cfg"],
      ["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"],
      ["network", "prune", "-f"],
      ["network", "rm", "cfg", "cfg6", "net"],
    ],
  },
];
