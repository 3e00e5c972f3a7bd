import { expect, test } from "bun:test";
import { indentJson } from "./json.ts";
import { portColumn } from "./ports.ts";
import { alignColumns } from "./tabwriter.ts";
import { ellipsis } from "./text.ts";

test("columns are as wide as their widest cell and three, at least ten; the last is not padded", () => {
  expect(alignColumns("CONTAINER ID\tIMAGE\tNAMES\nc0937b981c40\tbusybox\tp1")).toBe(
    "CONTAINER ID   IMAGE     NAMES\nc0937b981c40   busybox   p1",
  );
});

test("a line without tabs ends a column", () => {
  expect(alignColumns("a\tb\nx\nlong-long-long\tb", 4, 1)).toBe("a   b\nx\nlong-long-long b");
});

test("width counts columns of a terminal: wide characters take two", () => {
  expect(alignColumns("a…\tb\n😀😀\tc", 0, 1)).toBe("a…   b\n😀😀 c");
  expect(alignColumns("LABELS\tPORTS\nk=ü日本語\t80", 10)).toBe("LABELS      PORTS\nk=ü日本語   80");
});

test("what does not fit is cut by its width on a terminal", () => {
  expect(ellipsis(`sh -c 'echo "日本語" ; sleep 5'`, 20)).toBe(`sh -c 'echo "日本語…`);
  expect(ellipsis("日本語", 4)).toBe("日…");
  expect(ellipsis("日本", 4)).toBe("日本");
  expect(ellipsis("abc", 1)).toBe("a");
});

test("JSON is indented without touching numbers and escapes", () => {
  const text = '{"a":9223372036854771712,"b":[],"c":{},"d":["x\\u003c",{"e":null}],"f":"{\\"[,:"}';
  expect(indentJson(text)).toBe(`{
    "a": 9223372036854771712,
    "b": [],
    "c": {},
    "d": [
        "x\\u003c",
        {
            "e": null
        }
    ],
    "f": "{\\"[,:"
}`);
});

test("JSON that would come out otherwise when it is parsed is indented as it stands, and what is no JSON ends", () => {
  const repeated = ' {"b": [ ],"b":{\n},"1":1.50,"0":"\\\\", "q":"\\\\\\"}"}';
  expect(indentJson(repeated, " ")).toBe(
    '{\n "b": [],\n "b": {},\n "1": 1.50,\n "0": "\\\\",\n "q": "\\\\\\"}"\n}',
  );
  expect(indentJson('"open')).toBe('"open');
  expect(indentJson("]}")).toBe("\n]\n}");
});

test("neighbouring ports merge where both sides are equal", () => {
  const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = "tcp") => ({
    PrivatePort,
    Type,
    PublicPort,
    IP,
  });
  expect(
    portColumn([
      port(90, 90, "0.0.0.0"),
      port(91, 91, "0.0.0.0"),
      port(80, 8080, "0.0.0.0"),
      port(80, 8080, "::"),
      port(53, undefined, undefined, "udp"),
    ]),
  ).toBe("53/udp, 0.0.0.0:90-91->90-91/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
  expect(portColumn([])).toBe("");
});
