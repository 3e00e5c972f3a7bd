import { invalid } from "../../../base/lib/errors.ts";
import type { PortBinding } from "../../../base/spec/docker/api.gen.ts";
import { inspectContainer } from "../../../client/containers/inspect.ts";
import { between, defineCommand } from "../../command.ts";
import { hostPort } from "../../format/ports.ts";

export const command = defineCommand({
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  args: between(1, 2),
  flags: {},
  async run(context, { args: [name = "", wanted] }) {
    const client = await context.client();
    const ports = (await inspectContainer(client, name)).NetworkSettings?.Ports ?? {};
    const text = (binding: PortBinding) => hostPort(binding.HostIp ?? "", binding.HostPort ?? "");
    if (wanted !== undefined) {
      const [port = "", protocol = "tcp"] = wanted.split("/");
      if (!/^\d+$/.test(port))
        throw invalid(
          `Error: invalid port (${wanted}): strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`,
        );
      const bindings = ports[`${port}/${protocol}`];
      if (!bindings) throw invalid(`Error: No public port '${wanted}' published for ${name}`);
      await context.out.write(bindings.map((binding) => `${text(binding)}\n`).join(""));
      return 0;
    }
    const lines = Object.entries(ports)
      .sort(([a], [b]) => byPort(a, b))
      .flatMap(([port, bindings]) => (bindings ?? []).map((binding) => `${port} -> ${text(binding)}\n`));
    await context.out.write(lines.join(""));
    return 0;
  },
});

function byPort(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1);
}
