import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { decompress } from "./compression.ts";
import { gzipMember } from "./gzip-member.ts";

test("members one after the other are one stream, for us and for gzip", async () => {
  const pieces = [Buffer.alloc(300_000, "text "), randomBytes(500_000), Buffer.from("x"), Buffer.alloc(0)];
  const members = pieces.map((piece) => Buffer.concat(gzipMember(piece)));
  expect(members[0]?.length).toBeLessThan(30_000);
  expect(members[1]?.length).toBeLessThan(501_000);
  const whole = Buffer.concat(members);
  const source = async function* () {
    for (let at = 0; at < whole.length; at += 7777) yield whole.subarray(at, at + 7777);
  };
  const plain: Uint8Array[] = [];
  for await (const chunk of decompress(source())) plain.push(chunk);
  expect(Buffer.concat(plain).equals(Buffer.concat(pieces))).toBe(true);
  const gzip = Bun.spawnSync(["gzip", "-dc"], { stdin: whole });
  expect(Buffer.from(gzip.stdout).equals(Buffer.concat(pieces))).toBe(true);
});
