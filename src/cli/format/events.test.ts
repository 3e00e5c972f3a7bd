import { expect, test } from "bun:test";
import { eventFormat } from "./events.ts";

const tag =
  '{"status":"tag","id":"sha256:1d","Type":"image","Action":"tag","Actor":{"ID":"sha256:1d","Attributes":{"name":"foo/bar:1","a":"b"}},"scope":"local","time":1795241039,"timeNano":1795241039165209171}';

test("an event is a line with its time to the nanosecond and its attributes by name", async () => {
  const format = await eventFormat("");
  expect(format(tag)).toMatch(
    /^2026-11-\d\dT\d\d:\d\d:59\.165209171\S+ image tag sha256:1d \(a=b, name=foo\/bar:1\)\n$/,
  );
});

test("an event without attributes or nanoseconds still makes a line", async () => {
  const format = await eventFormat("");
  expect(format('{"Type":"daemon","Action":"reload","Actor":{"ID":"x"},"time":1795241039}')).toMatch(
    /^\S+:59\.000000000\S+ daemon reload x\n$/,
  );
});

test("json gives the event as the daemon wrote it", async () => {
  for (const source of ["json", "{{json .}}"]) expect((await eventFormat(source))(tag)).toBe(`${tag}\n`);
});

test("a template names Docker's fields, and exact nanoseconds", async () => {
  const format = await eventFormat(
    "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.TimeNano}} {{.Status}} {{.From}}",
  );
  expect(format(tag)).toBe("image tag foo/bar:1 1795241039165209171 tag \n");
});

test("an unknown field and a malformed template end with exit code 64", async () => {
  await expect(eventFormat("{{.Nope}}")).rejects.toThrow(
    /^Error parsing format: .*can't evaluate field Nope in type \*events\.Message/,
  );
  await expect(eventFormat("{{")).rejects.toMatchObject({ detail: { exitCode: 64 } });
});
