import { createNetwork } from "../../../client/networks/create.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, list, map, strings, text } from "../../flags/flag.ts";
import { labelFlag, pairsToMap } from "../../run/values/environment.ts";
import { ipamConfig } from "../../run/values/ipam.ts";

const flags = {
  attachable: bool("", "Let containers be attached by hand"),
  "aux-address": map("", "Other addresses of the driver that are taken"),
  "config-from": text("", "Network to copy the configuration from"),
  "config-only": bool("", "Make a configuration for others only"),
  driver: text("d", "Network driver", { initial: "bridge" }),
  gateway: strings("", "IPv4 or IPv6 gateway of the subnet before it"),
  ingress: bool("", "Make the routing-mesh network of a swarm"),
  internal: bool("", "Keep it apart from the outside"),
  "ip-range": strings("", "Range of the subnet to take addresses from"),
  "ipam-driver": text("", "Driver that gives out addresses", { initial: "default" }),
  "ipam-opt": map("", "Option of that driver"),
  ipv4: bool("", "Give out IPv4 addresses", { initial: true }),
  ipv6: bool("", "Give out IPv6 addresses"),
  label: list("", "Set a label", labelFlag),
  opt: map("o", "Option of the driver"),
  scope: text("", "Scope of the network"),
  subnet: strings("", "Subnet in CIDR notation"),
};

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK",
  args: exactly(1),
  flags,
  async run(context, { values, changed, args: [name = ""] }) {
    const Config = ipamConfig(values.subnet, values["ip-range"], values.gateway, values["aux-address"]);
    const client = await context.client();
    const created = await createNetwork(client, {
      Name: name,
      Driver: values.driver,
      Scope: values.scope,
      Internal: values.internal,
      Attachable: values.attachable,
      Ingress: values.ingress,
      ConfigOnly: values["config-only"],
      ...(values["config-from"] === "" ? {} : { ConfigFrom: { Network: values["config-from"] } }),
      ...(changed.has("ipv4") ? { EnableIPv4: values.ipv4 } : {}),
      ...(changed.has("ipv6") ? { EnableIPv6: values.ipv6 } : {}),
      IPAM: { Driver: values["ipam-driver"], Options: { ...values["ipam-opt"] }, Config },
      Options: { ...values.opt },
      Labels: pairsToMap(values.label),
    });
    if (created.Warning) await context.err.write(`WARNING: ${created.Warning}\n`);
    await context.out.write(`${created.Id}\n`);
    return 0;
  },
});
