import { expect, test } from "bun:test";
import type { ImageManifestSummary, ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { imageTree } from "./image-tree.ts";

const manifest = (id: string, architecture: string, containers: string[] = []): ImageManifestSummary => ({
  ID: `sha256:${id.repeat(64)}`,
  Descriptor: {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${id.repeat(64)}`,
    size: 400,
  },
  Available: true,
  Size: { Total: 1_982_898, Content: 400 },
  Kind: "image",
  ImageData: {
    Platform: { os: "linux", architecture },
    Containers: containers,
    Size: { Unpacked: 1_982_498 },
  },
});
const image = (id: string, created: number, rest: Partial<ImageSummary>): ImageSummary => ({
  Id: `sha256:${id.repeat(64)}`,
  ParentId: "",
  RepoTags: [],
  RepoDigests: [],
  Created: created,
  Size: 1_982_498,
  SharedSize: -1,
  Labels: {},
  Containers: -1,
  ...rest,
});
const images = [
  image("1", 10, { RepoTags: ["b:1"], Manifests: [manifest("a", "amd64"), manifest("b", "arm64", ["c1"])] }),
  image("2", 30, { RepoTags: ["app:b", "app:latest"], Manifests: [manifest("c", "amd64")] }),
  image("3", 20, {}),
];

test("a tree shows the newest image first, its platforms below its shortest name", () => {
  expect(imageTree(images, { width: 0, colour: false, all: false })).toBe(
    `WARNING: This is an experimental feature. The output may change and shouldn't be depended on.
                                                              Info ->  U In Use 

IMAGE                ID             DISK USAGE   CONTENT SIZE   EXTRA
app:latest
app:b                222222222222       1.98MB           400B        
└─ linux/amd64       cccccccccccc       1.98MB           400B        

b:1                  111111111111       1.98MB           800B   U    
├─ linux/amd64       aaaaaaaaaaaa       1.98MB           400B        
└─ linux/arm64       bbbbbbbbbbbb       1.98MB           400B   U    

`,
  );
});

test("--all keeps images without a name, and without platforms nothing is spaced", () => {
  const flat = images.map((one) => ({ ...one, Manifests: [] }));
  expect(imageTree(flat, { width: 80, colour: false, all: true }).split("\n").slice(3)).toEqual([
    "IMAGE        ID             DISK USAGE   CONTENT SIZE   EXTRA",
    "app:latest",
    "app:b        222222222222       1.98MB             0B        ",
    "<untagged>   333333333333       1.98MB             0B        ",
    "b:1          111111111111       1.98MB             0B        ",
    "",
  ]);
});

test("a narrow terminal drops columns and shortens names", () => {
  const long = [image("1", 1, { RepoTags: ["registry.example.com/a/very/long/name:1"] })];
  for (const width of [1, 20, 30, 60]) {
    const row = imageTree(long, { width, colour: false, all: false }).split("\n")[4] ?? "";
    expect(row).toMatch(/^registry\.e/);
    expect(row.length).toBeLessThanOrEqual(Math.max(20, width));
  }
});

test("colours are for terminals", () => {
  expect(imageTree(images, { width: 80, colour: false, all: false })).not.toContain("\x1b");
  expect(imageTree(images, { width: 80, colour: true, all: false })).toContain("\x1b[48;5;14m U \x1b[0m");
});
