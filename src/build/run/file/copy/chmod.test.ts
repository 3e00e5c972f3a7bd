import { expect, test } from "bun:test";
import { S_IFDIR, S_IFREG } from "../../../../base/sys/at.ts";
import { parseModeChange } from "./chmod.ts";

test("symbolic modes change what chmod(1) changes", () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ["0755", S_IFREG | 0o600, 0o755],
    ["4711", S_IFREG | 0o600, 0o4711],
    ["+x", S_IFREG | 0o644, 0o755],
    ["u=rwX,go=rX", S_IFREG | 0o600, 0o644],
    ["u=rwX,go=rX", S_IFDIR | 0o700, 0o755],
    ["a-w,o=", S_IFREG | 0o777, 0o550],
    ["g=u", S_IFREG | 0o741, 0o771],
    ["u+s,g+s", S_IFREG | 0o755, 0o6755],
    ["+t", S_IFDIR | 0o777, 0o1777],
    ["go-rwx", S_IFREG | 0o4777, 0o4700],
    ["u=rw-x+X", S_IFREG | 0o711, 0o711],
    ["g=", S_IFDIR | 0o2775, 0o2705],
  ];
  for (const [text, mode, wanted] of cases)
    expect([text, parseModeChange(text)(mode).toString(8)]).toEqual([text, wanted.toString(8)]);
});

test("what is no mode is refused with its text", () => {
  for (const text of ["", "8", "77777", "u", "u=z", "x=r", "u=r,", "07x5"])
    expect(() => parseModeChange(text)).toThrow(`invalid chmod parameter: '${text}'`);
});
