import { invalid } from "../../../base/lib/errors.ts";
import { connectNetwork } from "../../../client/networks/connect.ts";
import { defineCommand, exactly } from "../../command.ts";
import { integer, list, strings, text } from "../../flags/flag.ts";
import { linkFlag } from "../../run/values/checks.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK CONTAINER",
  args: exactly(2),
  flags: {
    alias: strings("", "One more name for it on the network"),
    "driver-opt": strings("", "Option of the driver for this endpoint"),
    "gw-priority": integer("", "Which network gives the default gateway: the highest"),
    ip: text("", "IPv4 address"),
    ip6: text("", "IPv6 address"),
    link: list("", "Link to another container", linkFlag),
    "link-local-ip": strings("", "Link-local address"),
  },
  async run(context, { values, args: [network = "", container = ""] }) {
    const client = await context.client();
    const options = values["driver-opt"].map((option) => {
      const at = option.indexOf("=");
      if (at <= 0) throw invalid("invalid key/value pair format in driver options");
      return [option.slice(0, at).trim(), option.slice(at + 1).trim()] as const;
    });
    await connectNetwork(client, network, container, {
      IPAMConfig: {
        IPv4Address: values.ip,
        IPv6Address: values.ip6,
        LinkLocalIPs: [...values["link-local-ip"]],
      },
      Links: [...values.link],
      Aliases: [...values.alias],
      DriverOpts: Object.fromEntries(options),
      GwPriority: values["gw-priority"],
    });
    return 0;
  },
});
