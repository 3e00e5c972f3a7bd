import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/lib/clock.ts";
import { openDatabase } from "../../base/store/database.ts";
import type { NewEvent } from "../events/event.ts";
import { fileKeySealing } from "./sealing.ts";
import { SecretService } from "./service.ts";

const root = mkdtempSync(join(tmpdir(), "tug-secrets-"));
afterAll(() => rmSync(root, { recursive: true }));

let files = 0;
function setUp(users: readonly string[] = []) {
  const path = join(root, `${files++}.db`);
  const events: NewEvent[] = [];
  const open = () =>
    new SecretService({
      database: openDatabase(path),
      sealing: fileKeySealing(join(root, "keys")),
      events: { publish: (event) => void events.push(event) },
      clock: systemClock,
      usersOf: () => users,
    });
  return { path, events, open, secrets: open() };
}
const base64 = (text: string) => Buffer.from(text).toString("base64");

test("a secret comes back to a container only, also from the next daemon, and is nowhere in the clear", async () => {
  const { secrets, open, path, events } = setUp();
  const { ID } = await secrets.create({
    Name: "password",
    Data: base64("hunter2-hunter2"),
    Labels: { a: "b" },
  });
  expect(open().reveal(ID).toString()).toBe("hunter2-hunter2");
  expect(JSON.stringify([await secrets.list({}), await secrets.inspect("password"), events])).not.toContain(
    "hunter2",
  );
  const disk = readFileSync(path, "latin1") + readFileSync(`${path}-wal`, "latin1");
  expect(disk).not.toContain("hunter2");
  expect(statSync(join(root, "keys", "key")).mode & 0o777).toBe(0o600);
});

test("ciphertext does not open under another id, nor when a bit was changed", () => {
  const sealing = fileKeySealing(join(root, "keys"));
  const sealed = sealing.seal("one", Buffer.from("text"));
  expect(() => sealing.open("two", sealed)).toThrow("cannot be decrypted");
  sealed[14] = (sealed[14] ?? 0) ^ 1;
  expect(() => sealing.open("one", sealed)).toThrow("cannot be decrypted");
});

test("names are unique and of Docker's form, data has bounds, drivers are refused", async () => {
  const { secrets } = setUp();
  await secrets.create({ Name: "a.b-c", Data: base64("x") });
  await expect(secrets.create({ Name: "a.b-c", Data: base64("x") })).rejects.toThrow(
    "secret a.b-c already exists",
  );
  await expect(secrets.create({ Name: "-x", Data: base64("x") })).rejects.toThrow("invalid name");
  await expect(secrets.create({ Name: "x", Data: "" })).rejects.toThrow(
    "must be larger than 0 and less than 512000",
  );
  await expect(secrets.create({ Name: "x", Data: base64("y".repeat(512000)) })).rejects.toThrow(
    "less than 512000",
  );
  await expect(secrets.create({ Name: "x", Driver: { Name: "vault" } })).rejects.toThrow("not available");
  await expect(secrets.inspect("nope")).rejects.toThrow("secret nope not found");
});

test("a secret in use stays, labels can be changed in sequence", async () => {
  const { secrets } = setUp(["web"]);
  const { ID } = await secrets.create({ Name: "s", Data: base64("x") });
  await expect(secrets.remove("s")).rejects.toThrow("secret 's' is in use by the following container: web");
  await secrets.update(ID.slice(0, 10), 1, { Name: "s", Labels: { k: "v" } });
  await expect(secrets.update(ID, 1, { Name: "s" })).rejects.toThrow("update out of sequence");
  await expect(secrets.update(ID, 2, { Name: "s", Data: base64("new") })).rejects.toThrow(
    "only updates to Labels",
  );
  expect((await secrets.list({ label: ["k=v"] })).map((one) => one.Spec?.Name)).toEqual(["s"]);
});
