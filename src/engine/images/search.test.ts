import { expect, test } from "bun:test";
import type { FoundRepository } from "../../core/distribution/distribution.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { searchImages, splitTerm } from "./search.ts";

const found: readonly FoundRepository[] = [
  { name: "busybox", description: "small", stars: 3000, official: true },
  { name: "me/busybox", description: "", stars: 2, official: false },
];

function world(): {
  readonly deps: Pick<ImageServiceDeps, "registry">;
  readonly asked: unknown[];
} {
  const asked: unknown[] = [];
  const search = async (domain: string, term: string, limit: number) => {
    asked.push([domain, term, limit]);
    return found;
  };
  return { deps: { registry: { search } as unknown as ImageServiceDeps["registry"] }, asked };
}

test("the registry stands before the first slash if it can be no name on Docker Hub", () => {
  expect(splitTerm("busybox")).toEqual({ domain: "docker.io", word: "busybox" });
  expect(splitTerm("library/busybox")).toEqual({ domain: "docker.io", word: "busybox" });
  expect(splitTerm("me/busy")).toEqual({ domain: "docker.io", word: "me/busy" });
  expect(splitTerm("docker.io/library/busybox")).toEqual({ domain: "docker.io", word: "busybox" });
  expect(splitTerm("localhost/busy")).toEqual({ domain: "localhost", word: "busy" });
  expect(splitTerm("reg.test:5000/a/b")).toEqual({ domain: "reg.test:5000", word: "a/b" });
  expect(() => splitTerm("https://reg.test/a")).toThrow("should not have a scheme");
});

test("results are filtered by stars and by being official, and are never automated builds", async () => {
  const { deps, asked } = world();
  const names = async (filters: Record<string, string[]>) =>
    (await searchImages(deps, "busybox", { limit: undefined, filters })).map((one) => one.name);
  expect(await names({})).toEqual(["busybox", "me/busybox"]);
  expect(await names({ stars: ["3"] })).toEqual(["busybox"]);
  expect(await names({ stars: ["1", "2"] })).toEqual(["busybox", "me/busybox"]);
  expect(await names({ "is-official": ["false"] })).toEqual(["me/busybox"]);
  expect(await names({ "is-automated": ["true"] })).toEqual([]);
  expect(asked[0]).toEqual(["docker.io", "busybox", 25]);
  await expect(names({ stars: ["many"] })).rejects.toThrow("invalid filter 'stars=[many]'");
  await expect(names({ nosuch: ["1"] })).rejects.toThrow("invalid filter 'nosuch'");
  await expect(searchImages(deps, "x", { limit: 101, filters: {} })).rejects.toThrow(
    "limit 101 is outside the range of [1, 100]",
  );
});
