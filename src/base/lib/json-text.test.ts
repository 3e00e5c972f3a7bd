import { expect, test } from "bun:test";
import { readJsonText } from "./json-text.ts";

test("what JSON.parse takes is taken, with the same value", () => {
  const texts = [
    "{}",
    " [ ] ",
    '"a\\u00e9\\n"',
    '"\u007f\u0080\u{1f600}"',
    "-0.5e+3",
    '{"a":[1,{"b":null}],"c":true,"":"\u2028 é 日本"}\n',
    `${"[".repeat(5000)}${"]".repeat(5000)}`,
    JSON.stringify({ long: "x\\".repeat(200_000) }),
  ];
  for (const text of texts) expect(readJsonText(text)).toEqual({ value: JSON.parse(text), repeated: [] });
});

test("a fault is told in Go's words, with its place", () => {
  const faults = {
    "": "unexpected end of JSON input (line 1, column 1)",
    '{"a": 1,\n "b"': "unexpected end of JSON input (line 2, column 5)",
    '{"a": 1,\n}': "invalid character '}' looking for beginning of object key string (line 2, column 1)",
    '{\n  "a": true, // yes\n}':
      "invalid character '/' looking for beginning of object key string (line 2, column 14)",
    "{a: 1}": "invalid character 'a' looking for beginning of object key string (line 1, column 2)",
    '{"a" 1}': "invalid character '1' after object key (line 1, column 6)",
    '{"a":1 "b":2}': "invalid character '\"' after object key:value pair (line 1, column 8)",
    "[1 2]": "invalid character '2' after array element (line 1, column 4)",
    "[1,]": "invalid character ']' looking for beginning of value (line 1, column 4)",
    "{}{}": "invalid character '{' after top-level value (line 1, column 3)",
    "{}\0": "invalid character '\\u0000' after top-level value (line 1, column 3)",
    '"a\nb"': "invalid character '\\n' in string literal (line 1, column 3)",
    '"\\x"': "invalid character 'x' in string escape code (line 1, column 3)",
    '"open': "unexpected end of JSON input (line 1, column 6)",
    tru: "invalid character 't' looking for beginning of value (line 1, column 1)",
    "01": "invalid character '0' looking for beginning of value (line 1, column 1)",
  };
  for (const [text, message] of Object.entries(faults)) {
    expect(() => readJsonText(text)).toThrow(message);
    expect(() => JSON.parse(text)).toThrow();
  }
});

test("members that are there twice are named", () => {
  const text = '{"a":1,"b":{"c":1,"\\u0063":2},"a":[{"d":1},{"d":2}]}';
  expect(readJsonText(text).repeated).toEqual(["b.c", "a"]);
});
