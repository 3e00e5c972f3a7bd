import { describe, expect, test } from "bun:test";
import { foreignFrontend, parseOrder, type SolveOrder } from "./parse-request.ts";

const given: SolveOrder = {
  ref: "r",
  frontend: "dockerfile.v0",
  attrs: {},
  exporters: [],
  cacheImports: [],
  cacheExports: [],
  entitlements: [],
};
const order = (attrs: Record<string, string>, more: Partial<SolveOrder> = {}) =>
  parseOrder({ ...given, attrs, ...more });

describe("an order of BuildKit's protocol", () => {
  test("says nothing: the client's directories, no output", () => {
    expect(order({})).toMatchObject({
      context: { kind: "local", name: "context" },
      dockerfileContext: { kind: "local", name: "dockerfile" },
      dockerfile: "",
      platforms: [],
      noCache: false,
      pull: false,
      network: "default",
      outputs: [],
      attestations: { provenance: false, sbom: false },
      vcs: {},
      epoch: undefined,
      skipLintRules: [],
      lintErrors: false,
    });
  });

  test("names what the build is made of", () => {
    const request = order({
      filename: "sub/Dockerfile",
      target: "last",
      "build-arg:A": "1",
      "build-arg:SOURCE_DATE_EPOCH": "42",
      "build-arg:BUILDKIT_DOCKERFILE_CHECK": "skip=JSONArgsRecommended,StageNameCasing;error=true",
      "label:l": "v",
      platform: "linux/amd64,linux/arm64",
      "no-cache": "a,b",
      "image-resolve-mode": "pull",
      "force-network-mode": "host",
      "add-hosts": "db=10.0.0.1,v6=[::1]",
      ulimit: "nofile=1024:2048,core=-1",
      "shm-size": "1048576",
      hostname: "h",
      "cgroup-parent": "/x",
      "multi-platform": "true",
      "attest:provenance": "mode=max",
      "attest:sbom": "generator=g",
      squash: "1",
    });
    expect(request).toMatchObject({
      dockerfile: "sub/Dockerfile",
      target: "last",
      labels: { l: "v" },
      platforms: [
        { os: "linux", architecture: "amd64" },
        { os: "linux", architecture: "arm64" },
      ],
      noCache: ["a", "b"],
      pull: true,
      network: "host",
      hosts: [
        { host: "db", address: "10.0.0.1" },
        { host: "v6", address: "::1" },
      ],
      ulimits: [
        { name: "nofile", soft: 1024, hard: 2048 },
        { name: "core", soft: -1, hard: -1 },
      ],
      shmSize: 1048576,
      hostname: "h",
      cgroupParent: "/x",
      multiPlatform: true,
      attestations: { provenance: { mode: "max" }, sbom: { generator: "g" } },
      squash: true,
      epoch: 42,
      skipLintRules: ["JSONArgsRecommended", "StageNameCasing"],
      lintErrors: true,
    });
    expect(request.buildArgs["A"]).toBe("1");
  });

  test("names contexts of every kind", () => {
    const { namedContexts } = order({
      "context:dir": "local:dir",
      "context:img": "docker-image://alpine:3",
      "context:repo": "https://host/repo.git#main",
      "context:file": "https://host/file.tar",
      "context:layout": "oci-layout://store@sha256:abc",
    });
    expect(namedContexts).toEqual({
      dir: { kind: "local", name: "dir" },
      img: { kind: "image", reference: "alpine:3" },
      repo: { kind: "git", url: "https://host/repo.git#main" },
      file: { kind: "http", url: "https://host/file.tar" },
      layout: { kind: "oci-layout", store: "store", reference: "store@sha256:abc" },
    });
    expect(() => order({ "context:x": "ftp://host" })).toThrow("unsupported context source");
    expect(() => order({ "context:x": "input:missing" })).toThrow('invalid input "missing" for "x"');
  });

  test("has its Dockerfile in a remote context, unless a directory is named for it", () => {
    const context = "https://host/repo.git";
    expect(order({ context })).toMatchObject({ context: { kind: "git" }, dockerfileContext: undefined });
    expect(order({ context, dockerfilekey: "dockerfile" }).dockerfileContext).toEqual({
      kind: "local",
      name: "dockerfile",
    });
  });

  test("names caches in the ways of old and new clients", () => {
    const request = order(
      {
        "cache-from": "a/b,c/d",
        "cache-imports": '[{"Type":"registry","Attrs":{"ref":"e/f"}}]',
        "build-arg:BUILDKIT_INLINE_CACHE": "1",
      },
      { cacheImports: [{ type: "local", attrs: { src: "x" } }] },
    );
    expect(request.cacheFrom).toEqual([
      { type: "local", attributes: { src: "x" } },
      { type: "registry", attributes: { ref: "e/f" } },
      { type: "registry", attributes: { ref: "a/b" } },
      { type: "registry", attributes: { ref: "c/d" } },
    ]);
    expect(request.cacheTo).toEqual([{ type: "inline", attributes: {} }]);
    expect(() => order({}, { cacheExports: [{ type: "gha", attrs: {} }] })).toThrow(
      'unknown cache type "gha"',
    );
    expect(() => order({ "cache-imports": "{" })).toThrow("failed to parse cache-imports");
  });

  test("numbers outputs by their place, and knows the docker driver's own", () => {
    const exporters = ["moby", "cacheonly", "local"].map((type) => ({ type, attrs: {} }));
    expect(order({}, { exporters }).outputs).toEqual([
      { id: "0", type: "image", attributes: {} },
      { id: "2", type: "local", attributes: {} },
    ]);
  });

  test("attaches all provenance unless less is asked for", () => {
    const provenance = (text: string) => order({ "attest:provenance": text }).attestations.provenance;
    expect(
      ["type=provenance", "mode=full", "mode=min,version=v0.2", "version=v1", "false"].map(provenance),
    ).toEqual([{ mode: "max" }, { mode: "max" }, { mode: "min" }, { mode: "max", version: "v1" }, false]);
  });

  test("tells of the provenance what the client says itself", () => {
    const said = "mode=min,builder-id=https://ci.example,reproducible=true,filename=own.json";
    const { attestations, vcs } = order({
      "attest:provenance": said,
      "vcs:revision": "a1",
      "vcs:source": "s",
    });
    expect(attestations.provenance).toEqual({
      mode: "min",
      builderId: "https://ci.example",
      reproducible: true,
      filename: "own.json",
    });
    expect(vcs).toEqual({ revision: "a1", source: "s" });
  });

  test("is refused where it means nothing", () => {
    for (const attrs of [
      { "attest:provenence": "" },
      { "attest:provenance": "mode=mix" },
      { "attest:provenance": "version=v3" },
      { "attest:provenance": "filename=.." },
      { "attest:provenance": "reproducible=perhaps" },
      { ulimit: "nofile" },
      { "shm-size": "-1" },
      { "force-network-mode": "bridge" },
      { "multi-platform": "maybe" },
      { "build-arg:SOURCE_DATE_EPOCH": "2026-11-21" },
      { "build-arg:BUILDKIT_DOCKERFILE_CHECK": "nonsense=1" },
    ])
      expect(() => order(attrs)).toThrow();
  });

  test("names a frontend: Docker's own image is built in, by that name on any registry, any other is run", () => {
    const foreign = (source: string, frontend = "gateway.v0") =>
      foreignFrontend({ ...given, frontend, attrs: { source } });
    for (const source of [
      "docker/dockerfile",
      "docker/dockerfile:1.7@sha256:abc",
      "docker.io/docker/dockerfile-upstream:master",
      "registry.test/docker/dockerfile:1",
    ])
      expect(foreign(source)).toBeUndefined();
    for (const source of ["other/dockerfile", "docker/dockerfile.other", "registry.test/dockerfile:1"])
      expect(foreign(source)).toBe(source);
    expect(foreign("other/frontend", "dockerfile.v0")).toBeUndefined();
  });
});
