import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseFlags } from "../flags/parse.ts";
import { buildFlags } from "./flags.ts";
import { type BuildOrder, readOrder } from "./request.ts";

const folder = mkdtempSync(join(tmpdir(), "tug-order-"));
beforeAll(() => {
  mkdirSync(join(folder, "out"));
  writeFileSync(join(folder, "file"), "");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly proxies?: readonly string[];
  readonly terminal?: boolean;
}

function orderOf(
  argv: readonly string[],
  { env = {}, proxies = [], terminal = false }: World = {},
): BuildOrder {
  const parsed = parseFlags(buildFlags, argv, true);
  return readOrder({ ...parsed, env, proxies, stdoutIsTerminal: terminal });
}

const attrs = (...argv: string[]) => {
  const { "image-resolve-mode": _, ...rest } = orderOf(argv).attrs;
  return rest;
};
const outputs = (...argv: string[]) => orderOf(argv).outputs;

describe("the flags of build as the frontend's attributes", () => {
  test.each<[string[], Record<string, string>]>([
    [["--build-arg", "A=1", "--build-arg", "B=x=y"], { "build-arg:A": "1", "build-arg:B": "x=y" }],
    [["--label", "a=b", "--label", "c"], { "label:a": "b", "label:c": "" }],
    [["--target", "web"], { target: "web" }],
    [
      ["--platform", "linux/amd64,linux/aarch64", "--platform", "linux/arm"],
      { platform: "linux/amd64,linux/arm64,linux/arm/v7" },
    ],
    [["--no-cache"], { "no-cache": "" }],
    [["--no-cache-filter", "a,b", "--no-cache-filter", "c"], { "no-cache": "a,b,c" }],
    [["--network", "none"], { "force-network-mode": "none" }],
    [["--network", "default"], {}],
    [["--add-host", "db:10.0.0.1", "--add-host", "six=[::1]"], { "add-hosts": "db=10.0.0.1,six=::1" }],
    [["--add-host", "a:1.1.1.1,b:2.2.2.2"], { "add-hosts": "a=1.1.1.1,b=2.2.2.2" }],
    [["--add-host", "a=1.1.1.1,2.2.2.2"], { "add-hosts": "a=1.1.1.1,a=2.2.2.2" }],
    [["--add-host", "up:host-gateway"], { "add-hosts": "up=host-gateway" }],
    [["--ulimit", "nofile=10:20", "--ulimit", "core=0"], { ulimit: "nofile=10:20,core=0:0" }],
    [["--shm-size", "64m"], { "shm-size": "67108864" }],
    [["-m", "1g", "--memory-swap", "-1", "-c", "5"], { memory: "1073741824", memswap: "-1", cpushares: "5" }],
    [["--cpuset-cpus", "0-1", "--cgroup-parent", "/x"], { cpusetcpus: "0-1", "cgroup-parent": "/x" }],
    [["--squash"], { squash: "true" }],
    [["--provenance", "mode=max"], { "attest:provenance": "mode=max,type=provenance" }],
    [["--provenance=false", "--sbom=true"], { "attest:sbom": "type=sbom" }],
    [["--attest", "type=sbom,generator=a/b", "--sbom", "true"], { "attest:sbom": "generator=a/b,type=sbom" }],
    [
      ["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"],
      { "build-arg:BUILDKIT_MULTI_PLATFORM": "1", "multi-platform": "true" },
    ],
  ])("%p", (argv, wanted) => {
    expect(attrs(...argv)).toEqual(wanted);
  });

  test("--pull asks registries, otherwise what is here counts", () => {
    expect(orderOf([]).attrs["image-resolve-mode"]).toBe("local");
    expect(orderOf(["--pull"]).attrs["image-resolve-mode"]).toBe("pull");
  });

  test("a build argument's name alone takes the environment's value, and is left out where there is none", () => {
    const env = { HERE: "v", SOURCE_DATE_EPOCH: "7", DOCKER_DEFAULT_PLATFORM: "linux/386" };
    const order = orderOf(["--build-arg", "HERE", "--build-arg", "GONE"], { env });
    expect(order.attrs).toEqual({
      "build-arg:HERE": "v",
      "build-arg:SOURCE_DATE_EPOCH": "7",
      platform: "linux/386",
      "image-resolve-mode": "local",
    });
    const given = orderOf(["--build-arg", "SOURCE_DATE_EPOCH=1", "--platform", "linux/amd64"], { env });
    expect(given.attrs).toMatchObject({ "build-arg:SOURCE_DATE_EPOCH": "1", platform: "linux/amd64" });
  });

  test("the configuration's proxies go along unless they are given in whatever case", () => {
    const proxies = ["HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=x"];
    const order = orderOf(["--build-arg", "http_proxy=mine"], { proxies });
    expect(order.attrs).toEqual({
      "build-arg:http_proxy": "mine",
      "build-arg:NO_PROXY": "x",
      "image-resolve-mode": "local",
    });
  });

  test("caches: references, several with commas, and types with attributes", () => {
    const { cacheFrom, cacheTo } = orderOf([
      ...["--cache-from", "a/b:c,d", "--cache-from", "type=local,src=x"],
      ...["--cache-to", "type=registry,ref=r,mode=max", "--build-arg", "BUILDKIT_INLINE_CACHE=1"],
    ]);
    expect(cacheFrom).toEqual([
      { type: "registry", attrs: { ref: "a/b:c" } },
      { type: "registry", attrs: { ref: "d" } },
      { type: "local", attrs: { src: "x" } },
    ]);
    expect(cacheTo).toEqual([
      { type: "registry", attrs: { ref: "r", mode: "max" } },
      { type: "inline", attrs: {} },
    ]);
  });

  test("contexts have the names of images, entitlements are those of the builder", () => {
    const order = orderOf([
      ...["--build-context", "docker.io/library/base:latest=./x", "--build-context", "b:1=docker-image://c"],
      ...["--allow", "security.insecure", "--network", "host"],
    ]);
    expect(order.namedContexts).toEqual({ base: "./x", "b:1": "docker-image://c" });
    expect(order.entitlements).toEqual(["security.insecure", "network.host"]);
  });
});

describe("outputs", () => {
  test.each<[string[], readonly unknown[]]>([
    [[], [{ type: "moby", attrs: {}, target: undefined }]],
    [["-t", "a:1", "-t", "b"], [{ type: "moby", attrs: { name: "a:1,b" }, target: undefined }]],
    [["-o", "type=cacheonly"], []],
    [["-o", "-"], [{ type: "tar", attrs: {}, target: { kind: "stdout" } }]],
    [["-o", "out"], [{ type: "local", attrs: {}, target: { kind: "directory", path: "out" } }]],
    [["-o", "type=tar,dest=x.tar"], [{ type: "tar", attrs: {}, target: { kind: "file", path: "x.tar" } }]],
    [
      ["-o", "type=oci,dest=x", "-t", "a"],
      [{ type: "oci", attrs: { name: "a" }, target: { kind: "file", path: "x" } }],
    ],
    [
      ["-o", "type=oci,tar=false,dest=x"],
      [{ type: "oci", attrs: { tar: "false" }, target: { kind: "directory", path: "x" } }],
    ],
    [["-o", "type=docker"], [{ type: "moby", attrs: {}, target: undefined }]],
    [["--load", "-t", "a"], [{ type: "moby", attrs: { name: "a" }, target: undefined }]],
    [
      ["--push", "-t", "a"],
      [{ type: "moby", attrs: { unpack: "false", push: "true", name: "a" }, target: undefined }],
    ],
    [
      ["-o", "type=registry", "-t", "a"],
      [{ type: "moby", attrs: { unpack: "false", push: "true", name: "a" }, target: undefined }],
    ],
    [
      ["-o", 'type=image,"name=a,b",push=true'],
      [{ type: "moby", attrs: { name: "a,b", push: "true" }, target: undefined }],
    ],
    [["--annotation", "k=v"], [{ type: "moby", attrs: { "annotation.k": "v" }, target: undefined }]],
    [
      ["--annotation", "index,manifest[linux/amd64]:k=v"],
      [
        {
          type: "moby",
          attrs: { "annotation-index.k": "v", "annotation-manifest[linux/amd64].k": "v" },
          target: undefined,
        },
      ],
    ],
  ])("%p", (argv, wanted) => {
    expect(outputs(...argv)).toEqual(wanted as ReturnType<typeof outputs>);
  });

  test("--call asks and puts nothing out", () => {
    const { call, outputs } = orderOf(["--call", "outline,format=json", "-t", "a"]);
    expect(outputs).toEqual([]);
    expect(call).toEqual({ requestId: "frontend.outline", json: true, ignoreStatus: false });
    expect(orderOf(["--check"]).call?.requestId).toBe("frontend.lint");
    expect(orderOf(["--call", "build"]).call).toBeUndefined();
  });
});

describe("mistakes in buildx's words", () => {
  test.each<[string[], string]>([
    [["-t", "A"], 'invalid tag "A": invalid reference format: repository name (library/A) must be lowercase'],
    [["--label", "=x"], 'invalid key-value pair "=x": empty key'],
    [["-o", "type=local"], "dest is required for local exporter"],
    [["-o", "type=local,dest=-"], "dest cannot be stdout for local exporter"],
    [["-o", join(folder, "file")], `destination directory ${join(folder, "file")} is a file`],
    [
      ["-o", `type=tar,dest=${join(folder, "out")}`],
      `destination file ${join(folder, "out")} is a directory`,
    ],
    [["-o", "dest=x"], "type is required for output"],
    [["-o", "type=tar,dest"], "invalid value dest"],
    [["-o", "-", "-o", "type=oci"], "multiple outputs configured to write to stdout"],
    [["--push"], "tag is needed when pushing to registry"],
    [
      ["-o", "type=tar,dest=x", "--iidfile", "i"],
      "local and tar exporters are incompatible with image ID file",
    ],
    [
      ["--no-cache", "--no-cache-filter", "a"],
      "--no-cache and --no-cache-filter cannot currently be used together",
    ],
    [["--cache-to", "ref=x"], 'type required for "ref=x"'],
    [["--build-context", "x"], "invalid context value: x, expected key=value"],
    [["--add-host", "x"], "invalid host x"],
    [["--add-host", "x:y"], "invalid host x:y"],
    [["--annotation", "x"], 'parse annotations: invalid annotation "x", expected key=value'],
    [["--annotation", "foo:x=y"], 'parse annotations: unknown annotation type "foo"'],
    [["--attest", "mode=max"], "attestation type not specified"],
    [["--progress", "x"], "invalid progress mode x"],
    [["-q", "--progress", "plain"], "progress=plain and quiet cannot be used together"],
    [["--call", "check,x=y"], "invalid print field: x=y"],
    [["--builder", "other"], 'no builder "other" found'],
    [["--allow", "all"], "invalid entitlement: all: network.host or security.insecure"],
  ])("%p", (argv, message) => {
    expect(() => orderOf(argv)).toThrow(message);
  });

  test("an archive is not poured onto a terminal", () => {
    expect(() => orderOf(["-o", "-"], { terminal: true })).toThrow(
      "dest file is required for tar exporter. refusing to write to console",
    );
  });
});

test("progress: the flag, then BUILDKIT_PROGRESS; quiet prints an id in the end and none nothing", () => {
  const env = { BUILDKIT_PROGRESS: "plain" };
  expect(orderOf([], { env })).toMatchObject({ progress: "plain", quiet: false });
  expect(orderOf(["--progress", "rawjson"], { env })).toMatchObject({ progress: "rawjson", quiet: false });
  expect(orderOf(["-q"], { env })).toMatchObject({ progress: "quiet", quiet: true });
  expect(orderOf(["--progress", "quiet"])).toMatchObject({ progress: "quiet", quiet: true });
  expect(orderOf(["--progress", "none"])).toMatchObject({ progress: "none", quiet: false });
});
