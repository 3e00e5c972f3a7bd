import { isCode } from "../../../base/lib/errors.ts";
import type { Client } from "../../../client/client.ts";
import { imageInventory } from "../../../client/images/inventory.ts";
import { loadImages } from "../../../client/images/load.ts";
import type { ProgressMessage } from "../../../client/images/progress.ts";
import { saveImages } from "../../../client/images/save.ts";
import { saveMissing } from "../../../client/images/save-missing.ts";
import { jsonLines } from "../../../client/stream/json-lines.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { connectTo } from "../../connect.ts";
import type { Context } from "../../context.ts";
import { bool, strings } from "../../flags/flag.ts";
import { platformJson } from "../../format/platform.ts";
import { relayArchive } from "../../progress/archive-relay.ts";
import { showProgress, silentOutput } from "../../progress/display.ts";
import { ProgressFeed } from "../../progress/feed.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...] DESTINATION",
  description:
    "Copies images to another daemon, Tug's or Docker's: DESTINATION is an address (ssh://, unix:// or tcp://) or the name of a context. " +
    "Only layers that are not there are sent. Sent again after a broken connection, what had come whole is left out as well.",
  args: atLeast(2),
  flags: {
    platform: strings("", "Send only the images of these platforms (os[/arch[/variant]],...)"),
    quiet: bool("q", "Print only what was loaded"),
  },
  async run(context, { values, args }) {
    const names = args.slice(0, -1);
    const source = await context.client();
    const destination = await connectTo(context, args.at(-1) ?? "");
    const out = values.quiet ? silentOutput : context.out;
    const archive = await missingArchive(context, source, destination, names, values.platform);
    const feed = new ProgressFeed();
    const loaded = loadImages(
      destination,
      relayArchive(archive, (message) => feed.tell(message)),
      {
        quiet: true,
        keep: true,
      },
    );
    await showProgress(feed.during(loaded), out);
    const { body } = await loaded;
    await showProgress(jsonLines<ProgressMessage>(body), context.out);
    return 0;
  },
});

/** The images without what the destination has, as far as both sides can do that. */
async function missingArchive(
  context: Context,
  source: Client,
  destination: Client,
  names: readonly string[],
  platforms: readonly string[],
): Promise<AsyncIterable<Uint8Array>> {
  const { inventory, whole } = await imageInventory(destination);
  const wire = platforms.map((one) => platformJson(one, "invalid platform: "));
  const all = async (why: string) => {
    await context.err.write(`Sending whole images: ${why}\n`);
    return (await saveImages(source, names, { platforms: wire })).body;
  };
  if (whole !== undefined) return await all(whole);
  const request = { Names: names, Platforms: platforms, MissingOn: inventory };
  try {
    return (await saveMissing(source, request)).body;
  } catch (error) {
    if (!isCode(error, "not-implemented")) throw error;
    return await all("the daemon they are on cannot leave layers out");
  }
}
