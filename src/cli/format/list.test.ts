import { expect, test } from "bun:test";
import { type ListSpec, renderList } from "./list.ts";

const spec: ListSpec<{ id: string; labels: Record<string, string> }> = {
  typeName: "*formatter.thingContext",
  quiet: "ID",
  columns: ["ID", "Labels"],
  fields: {
    ID: { header: "THING ID", value: (thing) => thing.id },
    Labels: { header: "LABELS", value: (thing) => Object.keys(thing.labels).join(",") },
    Label: { header: "", value: (thing) => (name: unknown) => thing.labels[String(name)] ?? "" },
  },
};
const things = [
  { id: "one", labels: { "com.rack-id": "7" } },
  { id: "two<", labels: {} },
];

test("the plain table has the default columns", async () => {
  expect(await renderList(spec, things, { format: "" })).toBe(
    "THING ID   LABELS\none        com.rack-id\ntwo<       \n",
  );
});

test("a table template makes its own heading", async () => {
  const format = 'table {{.ID | upper}}\\t{{.Label "com.rack-id"}}';
  expect(await renderList(spec, things, { format })).toBe("THING ID   rack id\nONE        7\nTWO<       \n");
});

test("json prints an object a line, escaped as Go escapes", async () => {
  expect(await renderList(spec, things, { format: "json" })).toBe(
    '{"ID":"one","Labels":"com.rack-id"}\n{"ID":"two\\u003c","Labels":""}\n',
  );
});

test("quiet prints the one field", async () => {
  expect(await renderList(spec, things, { format: "", quiet: true })).toBe("one\ntwo<\n");
});

test("a field that is not there is named with the type", async () => {
  await expect(renderList(spec, things, { format: "{{.Foo}}" })).rejects.toThrow(
    "template parsing error: template: :1:2:",
  );
  await expect(renderList(spec, things, { format: "{{.ID" })).rejects.toThrow(
    "template parsing error: template: :1: unclosed action",
  );
});
