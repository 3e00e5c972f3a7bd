import { expect, test } from "bun:test";
import type { DiskUsage } from "../../client/system/disk-usage.ts";
import { renderUsage, verboseUsage } from "./disk-usage.ts";

const now = Date.UTC(2026, 10, 21, 6, 0, 0);
const seconds = now / 1000;
const image = {
  ParentId: "",
  RepoDigests: [],
  Created: seconds - 180,
  Labels: {},
};
const usage: DiskUsage = {
  LayersSize: 3_968_506,
  Images: [
    {
      ...image,
      Id: `sha256:${"1".repeat(64)}`,
      RepoTags: ["foo/bar:1", "foo/bar:2"],
      Size: 1_984_374,
      SharedSize: 0,
      Containers: 1,
    },
    {
      ...image,
      Id: `sha256:${"2".repeat(64)}`,
      RepoTags: [],
      Size: 1_984_132,
      SharedSize: 1_984_132,
      Containers: 0,
    },
  ],
  Containers: [
    {
      Id: "c".repeat(64),
      Names: ["/one"],
      Image: "foo/bar:1",
      Command: "sleep 1000",
      Created: seconds - 60,
      State: "running",
      Status: "Up 1 minute",
      SizeRw: 1000,
    },
    {
      Id: "d".repeat(64),
      Names: ["/two"],
      Image: "foo/bar:1",
      Command: "true",
      Created: seconds - 60,
      State: "exited",
      Status: "Exited (0)",
      SizeRw: 3000,
    },
  ],
  Volumes: [
    {
      Name: "used",
      Driver: "local",
      Mountpoint: "/v",
      Labels: {},
      Options: {},
      Scope: "local",
      UsageData: { Size: 500, RefCount: 1 },
    },
    {
      Name: "free",
      Driver: "local",
      Mountpoint: "/w",
      Labels: {},
      Options: {},
      Scope: "local",
      UsageData: { Size: 1500, RefCount: 0 },
    },
    {
      Name: "remote",
      Driver: "nfs",
      Mountpoint: "/x",
      Labels: {},
      Options: {},
      Scope: "global",
      UsageData: { Size: -1, RefCount: 0 },
    },
  ],
  BuildCache: [
    {
      ID: "cache1",
      Type: "regular",
      Size: 2000,
      InUse: false,
      Shared: false,
      UsageCount: 3,
      CreatedAt: "2026-11-21T05:00:00Z",
    },
    {
      ID: "cache2",
      Type: "regular",
      Size: 4000,
      InUse: true,
      Shared: true,
      UsageCount: 1,
      CreatedAt: "2026-11-21T05:00:00Z",
    },
  ],
};

test("system df counts and sums each kind, with the share that could be had back", async () => {
  expect(await renderUsage(usage, "")).toBe(
    [
      "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
      "Images          2         1         3.969MB   1.984MB (49%)",
      "Containers      2         1         4kB       3kB (75%)",
      "Local Volumes   3         1         2kB       1.5kB (75%)",
      "Build Cache     2         1         2kB       2kB",
      "",
    ].join("\n"),
  );
});

test("an empty daemon takes nothing", async () => {
  expect(await renderUsage({ LayersSize: 0 }, "{{.Type}}: {{.Size}} {{.Reclaimable}}")).toBe(
    "Images: 0B 0B\nContainers: 0B 0B\nLocal Volumes: 0B 0B\nBuild Cache: 0B 0B\n",
  );
});

test("system df -v shows every object, an image under its first name", async () => {
  expect(await verboseUsage(usage, "", now)).toBe(`Images space usage:

REPOSITORY   TAG       IMAGE ID       CREATED         SIZE      SHARED SIZE   UNIQUE SIZE   CONTAINERS
foo/bar      1         111111111111   3 minutes ago   1.98MB    0B            1.984MB       1
<none>       <none>    222222222222   3 minutes ago   1.98MB    1.984MB       0B            0

Containers space usage:

CONTAINER ID   IMAGE       COMMAND        LOCAL VOLUMES   SIZE      CREATED              STATUS        NAMES
cccccccccccc   foo/bar:1   "sleep 1000"   0               1kB       About a minute ago   Up 1 minute   one
dddddddddddd   foo/bar:1   "true"         0               3kB       About a minute ago   Exited (0)    two

Local Volumes space usage:

VOLUME NAME   LINKS     SIZE
used          1         500B
free          0         1.5kB
remote        0         -1B

Build cache usage: 2kB

CACHE ID   CACHE TYPE   SIZE      CREATED             LAST USED   USAGE     SHARED
cache1     regular      2kB       About an hour ago               3         false
cache2*    regular      4kB       About an hour ago               1         true
`);
});

test("a format of system df -v names whole ids and gets no newline of its own", async () => {
  expect(await verboseUsage({ LayersSize: 0 }, "a\\tb", now)).toBe("a\tb");
  expect(await verboseUsage(usage, "{{range .Volumes}}{{.Name}}={{.Size}} {{end}}", now)).toBe(
    "used=500B free=1.5kB remote=-1B ",
  );
  const all = JSON.parse(await verboseUsage(usage, "json", now));
  expect(Object.keys(all)).toEqual(["Images", "Containers", "Volumes", "BuildCache"]);
  expect(all.Images[0].ID).toBe(`sha256:${"1".repeat(64)}`);
});
