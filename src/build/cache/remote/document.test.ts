import { expect, test } from "bun:test";
import type { Digest } from "../../../base/lib/ids.ts";
import { type CacheStep, inlineText, parseCacheDocument, parseInlineSteps } from "./document.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as Digest;
const blob = { mediaType: "x", digest: digest("a"), size: 3 };
const layer = { blob, diffId: digest("b"), parent: -1 };
const step = { key: digest("c"), keys: [digest("d")], layer: 0 };
const parse = (document: unknown) => parseCacheDocument(Buffer.from(JSON.stringify(document)));

test("what was written is read again", () => {
  const mount = { identity: { id: "../x", base: "", mode: 493, uid: 0, gid: 0 }, description: "d", blob };
  const document = { layers: [layer, { ...layer, parent: 0 }], steps: [step], mounts: [mount] };
  expect(parse(document) as unknown).toEqual(document);
  const steps: readonly CacheStep[] = [step, { key: digest("e"), keys: [], layer: undefined }];
  expect(parseInlineSteps(inlineText(steps), 1)).toEqual([...steps]);
});

test("documents of others cannot make circles, nor name what is not there", () => {
  const wrong: readonly unknown[] = [
    { layers: [{ ...layer, parent: 0 }] },
    { layers: [layer, { ...layer, parent: 1 }] },
    { layers: [{ ...layer, parent: -2 }] },
    { layers: [{ ...layer, diffId: "../../etc" }] },
    { layers: [{ ...layer, blob: { ...blob, digest: "sha256:x" } }] },
    { layers: [layer], steps: [{ ...step, layer: 1 }] },
    { layers: [layer], steps: [{ ...step, layer: 0.5 }] },
    { steps: [{ ...step, key: "k" }] },
    { steps: [{ ...step, keys: ["k"] }] },
    { steps: {} },
    { layers: Array.from({ length: 501 }, (_, index) => ({ ...layer, parent: index - 1 })) },
    { mounts: [{ identity: { mode: -1 }, blob }] },
    [],
  ];
  for (const document of wrong) expect(() => parse(document)).toThrow();
  expect(() => parseCacheDocument(Buffer.from("{"))).toThrow();
});
