import { expect, test } from "bun:test";
import { redactUrl } from "./redact-url.ts";

test("users and passwords of URLs are crossed out, wherever the URLs stand", () => {
  for (const [text, shown] of [
    ["https://user:word@host/a@b", "https://xxxxx:xxxxx@host/a@b"],
    ["load git source https://token@h/r.git#main", "load git source https://xxxxx:xxxxx@h/r.git#main"],
    ["git+ssh://git@h:22/x", "git+ssh://xxxxx:xxxxx@h:22/x"],
    ["git@host:repo", "git@host:repo"],
    ["https://host/user@mail", "https://host/user@mail"],
  ] as const)
    expect(redactUrl(text)).toBe(shown);
});
