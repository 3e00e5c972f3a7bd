import { atLeast, defineCommand } from "../../command.ts";
import { refuseUnverified } from "../../config/trust.ts";
import { checkPull, createWithImage } from "../../run/create.ts";
import { framing } from "../../run/failure.ts";
import { containerFlags, refuseWindowsFlags } from "../../run/flags.ts";
import { proxyVariables } from "../../run/proxies.ts";
import { containerSpec } from "../../run/spec.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: atLeast(1),
  flags: containerFlags,
  interspersed: false,
  async run(context, { values, changed, name, args: [image = "", ...rest] }) {
    const client = await context.client();
    const proxies = proxyVariables((await context.config()).data, client.address.text);
    refuseWindowsFlags(changed);
    refuseUnverified(context.env, values["disable-content-trust"], changed.has("disable-content-trust"));
    const spec = await framing(name, () => {
      checkPull(values.pull);
      return containerSpec({ values, changed, image, command: rest, env: context.env, proxies });
    });
    const id = await createWithImage(context, client, spec, {
      image,
      name: values.name,
      platform: values.platform || (context.env["DOCKER_DEFAULT_PLATFORM"] ?? ""),
      pull: values.pull,
      quiet: values.quiet,
      cidfile: values.cidfile,
      apiSocket: values["use-api-socket"],
    });
    await context.out.write(`${id}\n`);
    return 0;
  },
});
