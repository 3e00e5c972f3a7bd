import { checkSystem } from "../../../client/system/check.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { checkText } from "../../format/check.ts";
import { renderObject } from "../../format/object.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    format: text("", "How to print: 'json' or a Go template"),
    quick: bool("", "Look at records and sizes only, not at every byte"),
    repair: bool(
      "",
      "Bring back what can be: fetch and unpack again, remove what nothing needs; never volumes or writable layers",
    ),
  },
  async run(context, { values }) {
    const report = await checkSystem(await context.client(), values);
    await context.out.write(values.format === "" ? checkText(report) : renderObject(report, values.format));
    return report.Findings.every(({ Repaired }) => Repaired) ? 0 : 1;
  },
});
