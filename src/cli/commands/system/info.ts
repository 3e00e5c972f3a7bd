import { tugVersion } from "../../../base/lib/product.ts";
import type { SystemInfo } from "../../../base/spec/docker/api.gen.ts";
import { daemonInfo } from "../../../client/system/info.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { serverInfo } from "../../format/info.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: { format: text("f", "How to print: 'json' or a Go template") },
  async run(context, { values }) {
    const template = await templateOf(values.format);
    const client = await context.client();
    const ClientInfo = {
      Debug: context.globals.debug,
      Version: tugVersion,
      Context: context.globals.context ?? "default",
      Plugins: [],
      Warnings: null,
    };
    let info: SystemInfo | undefined;
    let failure: unknown;
    try {
      info = await daemonInfo(client);
    } catch (error) {
      failure = error;
    }
    if (template) {
      let text = "";
      try {
        text = template({ ...info, ClientInfo });
      } catch (error) {
        failure ??= error;
      }
      await context.out.write(`${text}\n`);
      if (failure !== undefined) throw failure;
      return 0;
    }
    await context.out.write(
      `Client:\n Version:    ${ClientInfo.Version}\n Context:    ${ClientInfo.Context}\n Debug Mode: ${ClientInfo.Debug}\n\nServer:\n`,
    );
    if (!info) throw failure;
    await context.out.write(`${serverInfo(info)}\n`);
    for (const warning of info.Warnings ?? []) await context.err.write(`${warning}\n`);
    return 0;
  },
});

async function templateOf(
  format: string,
): Promise<((info: Readonly<Record<string, unknown>>) => string) | undefined> {
  if (format === "") return undefined;
  if (format === "json") return JSON.stringify;
  return (await import("../../format/info-template.ts")).infoTemplate(format);
}
