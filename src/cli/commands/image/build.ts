import { buildFlags } from "../../build/flags.ts";
import { defineCommand, exactly } from "../../command.ts";
import { refuseUnverified } from "../../config/trust.ts";

export const command = defineCommand({
  usage: "[OPTIONS] PATH | URL | -",
  args: exactly(1),
  flags: buildFlags,
  async run(context, call) {
    refuseUnverified(
      context.env,
      call.values["disable-content-trust"],
      call.changed.has("disable-content-trust"),
    );
    // The protocol brings HTTP/2 along, which help pages need not wait for.
    const { runBuild } = await import("../../build/build.ts");
    return await runBuild(context, call);
  },
});
