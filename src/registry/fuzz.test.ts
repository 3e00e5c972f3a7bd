import { expect, test } from "bun:test";
import { randomNumbers } from "../base/lib/testdata/random-numbers.ts";
import { digestOf } from "../base/spec/oci/digest.ts";
import { mediaTypes } from "../base/spec/oci/media-types.ts";
import { parseHtpasswd } from "./auth/htpasswd.ts";
import { parseTokenKeys, verifyOwnToken } from "./auth/jwt.ts";
import { escapeHtml } from "./pages/html.ts";
import { openTestRegistry } from "./testdata/open.ts";

/** A seed that found something stays here. */
const seeds = [1, 7, 4711, 20_261_121];

function picker(seed: number): (below: number) => number {
  const random = randomNumbers(seed);
  return (below) => Math.floor(random() * below);
}

const config = "{}";
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: 2, annotations: { a: "b" } },
  layers: [{ mediaType: mediaTypes.ociLayer, digest: digestOf("layer"), size: 5, urls: ["https://x"] }],
  subject: { mediaType: mediaTypes.ociManifest, digest: digestOf("subject"), size: 7 },
  annotations: { "org.opencontainers.image.description": "d" },
});
const targets = [
  "/v2/",
  "/v2/a/b/blobs/uploads/",
  `/v2/a/b/blobs/uploads/?digest=${digestOf("layer")}`,
  `/v2/a/b/blobs/uploads/?mount=${digestOf("layer")}&from=a/b`,
  "/v2/a/b/blobs/uploads/7d793037-a076-4c61-8e27-0a0a0a0a0a0a?digest=sha256:1",
  `/v2/a/b/blobs/${digestOf("layer")}`,
  "/v2/a/b/manifests/latest?tag=a&tag=b",
  `/v2/a/b/manifests/${digestOf(manifest)}`,
  "/v2/a/b/tags/list?n=3&last=x",
  `/v2/a/b/referrers/${digestOf("subject")}?artifactType=x&n=1&last=z`,
  "/v2/_catalog?n=1",
  "/v1/search?q=a&n=2",
  "/?q=a&last=b",
  "/pages/image/latest/a/b",
  "/pages/tags/a/b",
];
const headers: readonly [string, string][] = [
  ["range", "bytes=0-1"],
  ["content-range", "0-4"],
  ["content-type", mediaTypes.ociManifest],
  ["authorization", "Basic YTpi"],
  ["if-none-match", '"x"'],
  ["if-match", "*"],
  ["if-range", '"x"'],
];
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const noise = [
  "\0",
  "..",
  "/",
  "%",
  "\r\n",
  "é",
  "\u{1f980}",
  "{",
  "}",
  '"',
  "\\",
  "-1",
  "1e999",
  "sha256:",
  ":",
  "@",
  "null",
  " ",
  "<script>",
];

/** Takes something out, puts something in, or doubles a part, a few times. */
function mutate(text: string, random: (below: number) => number): string {
  let result = text;
  for (let times = random(4); times > 0; times--) {
    const [at, length] = [random(result.length + 1), random(12)];
    const kind = random(3);
    const put =
      kind === 0
        ? ""
        : kind === 1
          ? (noise[random(noise.length)] ?? "")
          : result.slice(at, at + length).repeat(2);
    result = result.slice(0, at) + put + result.slice(at + (kind === 1 ? 0 : length));
  }
  return result.toWellFormed();
}

for (const seed of seeds) {
  test(`mangled requests get an answer of the spec's form, and never an internal error (seed ${seed})`, async () => {
    const random = picker(seed);
    const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
    await using registry = openTestRegistry();
    for (const text of [config, "layer"]) {
      await registry.ask("POST", `/v2/a/b/blobs/uploads/?digest=${digestOf(text)}`, text);
    }
    for (let round = 0; round < 500; round++) {
      const target = encodeURI(mutate(pick(targets), random)).replaceAll("%3F", "?");
      const chosen = headers
        .filter(() => random(3) === 0)
        .map(([name, value]) => [name, mutate(value, random)] as const);
      const body = pick(["", "layer", config, mutate(manifest, random), manifest]);
      const reply = await registry.ask(pick(methods), target, body, Object.fromEntries(chosen));
      expect([target, reply.status]).toEqual([target, expect.any(Number)]);
      expect(reply.status).toBeLessThan(500);
      expect(reply.status).toBeGreaterThanOrEqual(200);
      if (reply.status >= 400) {
        const { errors } = JSON.parse(reply.body.toString()) as {
          errors: { code: string; message: string }[];
        };
        for (const { code, message } of errors)
          expect([code, typeof message]).toEqual([expect.stringMatching(/^[A-Z_]+$/), "string"]);
      }
    }
    expect((await registry.ask("GET", `/v2/a/b/blobs/${digestOf("layer")}`)).status).toBeOneOf([200, 404]);
  });

  test(`mangled tokens, keys, password files and texts are refused or read, and nothing else (seed ${seed})`, () => {
    const random = picker(seed);
    const attempt = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        expect(String(error)).toContain("TugError");
      }
    };
    for (let round = 0; round < 200; round++) {
      expect(
        verifyOwnToken(mutate("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", random), new Uint8Array(32)),
      ).toBeUndefined();
      attempt(() =>
        parseHtpasswd(
          mutate("a:$2y$05$96OXCsmKxLEdOPsjpGDyI.X962CasCkP.y2ZfY8oX0aPODiZr/SDy\n", random),
          "f",
        ),
      );
      attempt(() =>
        parseTokenKeys(mutate('{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}', random), "f"),
      );
      expect(escapeHtml(mutate("<a href='x'>&\"</a>", random))).not.toMatch(/[<>"']/);
    }
  });
}
