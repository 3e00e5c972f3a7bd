import { expect, test } from "bun:test";
import { isBuiltIn } from "../../base/spec/builder/frontend.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { readFrontendPolicy } from "./allowed.ts";

const says = (builder: unknown, image: string) => {
  try {
    readFrontendPolicy(builder)(parseReference(image));
    return "allowed";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

test("a frontend runs only where its repository is allowed, whatever its tag", () => {
  const builder = { frontends: ["docker.io/corp/frontend", "registry.corp:5000/x"] };
  for (const image of ["corp/frontend", "corp/frontend:2", `registry.corp:5000/x@sha256:${"a".repeat(64)}`])
    expect(says(builder, image)).toBe("allowed");
  expect(says({ frontends: ["*"] }, "any/thing:1")).toBe("allowed");
  for (const builder of [undefined, {}, { frontends: [] }, { frontends: ["corp/front"] }])
    expect(says(builder, "corp/frontend:2")).toContain(
      '{"builder":{"frontends":["corp/frontend"]}} in daemon.json',
    );
  expect(says(builder, "evil.corp/frontend")).toContain("the frontend evil.corp/frontend is not run");
});

test("what is no list of repositories is refused by name", () => {
  expect(says({ frontends: "corp/x" }, "a")).toBe("builder.frontends: expected a list of repositories");
  expect(says({ frontends: [1] }, "a")).toBe("builder.frontends: expected a list of repositories");
  expect(says({ frontends: ["corp/x:1"] }, "a")).toContain("without a tag or digest");
});

test("Docker's own frontends are built in, by the names that mirrors have too", () => {
  for (const image of [
    "docker/dockerfile:1",
    "docker.io/docker/dockerfile-upstream:master",
    "mirror.corp:5000/hub/docker/dockerfile:1.7",
  ])
    expect(isBuiltIn(image)).toBe(true);
  for (const image of ["corp/dockerfile:1", "docker/dockerfile-evil", "mydocker/dockerfile:1"])
    expect(isBuiltIn(image)).toBe(false);
});
