import { gunzipSync } from "bun";
import { ImageFixture, streamOfBytes } from "./fixture.ts";

/** Loads and deletes the images of an archive for ever, in the directory given: to be killed at any moment. */
const [directory = "", archive = ""] = process.argv.slice(2);
const at = await ImageFixture.openIn(directory);
const tar = gunzipSync(new Uint8Array(await Bun.file(archive).arrayBuffer()));
console.log("ready");
for (let round = 0; ; round++) {
  for await (const _event of at.archives.load(streamOfBytes(tar))) continue;
  const [image] = at.images.list();
  if (image && round % 2 === 1) at.images.tag(image.id, `extra:${round}`);
  if (image) await at.images.delete(image.id);
}
