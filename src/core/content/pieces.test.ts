import { expect, test } from "bun:test";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { temporaryContent } from "./testdata/temporary.ts";

const blob = { digest: digestOf("hello world"), size: 11 };

test("pieces stay with the ingest they are for, over a restart, until they are removed", async () => {
  await using at = temporaryContent();
  {
    await using ingest = await at.store.ingest("x", blob);
    await using pieces = at.store.pieces("x", blob);
    await ingest.write(Buffer.from("he"));
    await pieces.append(6, Buffer.from("wor"));
    await pieces.append(6, Buffer.from("ld"));
    await pieces.append(4, Buffer.from("o"));
  }
  const store = at.reopen();
  expect(await store.pieces("y", blob).list()).toEqual([]);
  await using pieces = store.pieces("x", blob);
  expect(await pieces.list()).toEqual([
    { from: 4, size: 1 },
    { from: 6, size: 5 },
  ]);
  const into = new Uint8Array(3);
  expect(await pieces.read(6, into, 2)).toBe(3);
  expect(Buffer.from(into).toString()).toBe("rld");
  await pieces.remove(4);
  await pieces.clear();
  expect(await pieces.list()).toEqual([]);
});

test("forgotten pieces go with the partials, but not while their ingest is open", async () => {
  await using at = temporaryContent();
  {
    await using ingest = await at.store.ingest("x", blob);
    await using pieces = at.store.pieces("x", blob);
    await ingest.write(Buffer.from("he"));
    await pieces.append(6, Buffer.from("world"));
    expect(await at.store.dropPartials(-1)).toBe(0);
  }
  expect(await at.store.dropPartials(-1)).toBe(7);
});
