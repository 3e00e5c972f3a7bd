import { expect, test } from "bun:test";
import { Router } from "./router.ts";

const router = new Router<string>();
for (const [method, path] of [
  ["GET", "/images/json"],
  ["GET", "/images/{name...}/json"],
  ["GET", "/images/get"],
  ["GET", "/images/{name...}/get"],
  ["DELETE", "/images/{name...}"],
  ["GET", "/containers/{id}/json"],
  ["GET", "/volumes"],
] as const) {
  router.add(method, path, path);
}

test.each([
  ["GET", "/images/json", "/images/json", {}],
  ["GET", "/images/a/b/c:1/json", "/images/{name...}/json", { name: "a/b/c:1" }],
  ["GET", "/images/json/json", "/images/{name...}/json", { name: "json" }],
  ["DELETE", "/images/a/b", "/images/{name...}", { name: "a/b" }],
  ["GET", "/containers/x/json", "/containers/{id}/json", { id: "x" }],
  ["GET", "/volumes", "/volumes", {}],
] as const)("%s %s", (method, path, value, params) => {
  const match = router.find(method, path);
  expect(match?.value).toBe(value);
  expect({ ...match?.params }).toEqual(params);
});

test.each([
  ["POST", "/images/json"],
  ["GET", "/containers/a/b/json"],
  ["GET", "/containers//json"],
  ["GET", "/nothing"],
  ["GET", "/images/a"],
  ["GET", "/volumes/"],
])("finds nothing for %s %s", (method, path) => {
  expect(router.find(method, path)).toBeUndefined();
});
