import { expect, test } from "bun:test";
import type { ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { historySpec } from "./history.ts";
import { imageRows, imageSpec } from "./images.ts";
import { renderList } from "./list.ts";

const now = Date.UTC(2026, 10, 21, 6, 0, 0);
const digest = `sha256:${"e".repeat(64)}`;
const image = (id: string, rest: Partial<ImageSummary>): ImageSummary => ({
  Id: `sha256:${id.repeat(64)}`,
  ParentId: "",
  RepoTags: [],
  RepoDigests: [],
  Created: now / 1000 - 3600 * 5,
  Size: 1_984_374,
  SharedSize: -1,
  Labels: {},
  Containers: -1,
  ...rest,
});
const images = [
  image("1", { RepoTags: ["busybox:latest", "reg:5000/a/b:v1"], RepoDigests: [`busybox@${digest}`] }),
  image("2", { RepoDigests: [`alpine@${digest}`], Size: 123_456_789 }),
  image("3", {}),
];
const table = (options: { whole?: boolean; digests?: boolean } = {}, format = "") => {
  const { whole = false, digests = false } = options;
  return renderList(imageSpec({ whole, digests, now }), imageRows(images, digests), { format });
};

test("images has a row for each tag, and one for an image that only a digest names or nothing", async () => {
  expect(await table()).toBe(`REPOSITORY     TAG       IMAGE ID       CREATED       SIZE
busybox        latest    111111111111   5 hours ago   1.98MB
reg:5000/a/b   v1        111111111111   5 hours ago   1.98MB
alpine         <none>    222222222222   5 hours ago   123MB
<none>         <none>    333333333333   5 hours ago   1.98MB
`);
});

test("--digests shows the digest beside the tags of its repository", async () => {
  const rows = (await table({ digests: true })).split("\n").map((line) => line.split(/\s{2,}/).slice(0, 3));
  expect(rows.slice(0, 5)).toEqual([
    ["REPOSITORY", "TAG", "DIGEST"],
    ["busybox", "latest", digest],
    ["reg:5000/a/b", "v1", "<none>"],
    ["alpine", "<none>", digest],
    ["<none>", "<none>", "<none>"],
  ]);
});

test("json escapes as Go does, and sizes that were not asked for are N/A", async () => {
  const [, , , last = ""] = (await table({}, "json")).split("\n");
  expect(last).toContain('"Repository":"\\u003cnone\\u003e"');
  expect(JSON.parse(last)).toEqual({
    Containers: "N/A",
    CreatedAt: expect.any(String),
    CreatedSince: "5 hours ago",
    Digest: "<none>",
    ID: "333333333333",
    Repository: "<none>",
    SharedSize: "N/A",
    Size: "1.98MB",
    Tag: "<none>",
    UniqueSize: "N/A",
    VirtualSize: "1.984MB",
  });
});

test("{{json .}} is the same as json, and {{json .Tag}} is not escaped", async () => {
  expect(await table({}, "{{json .}}")).toBe(await table({}, "json"));
  expect((await table({}, "{{json .Tag}}")).split("\n").at(-2)).toBe('"<none>"');
});

test("--no-trunc shows whole ids, and a template of one's own heads its columns", async () => {
  expect((await table({ whole: true }, "table {{.ID}}\t{{.VirtualSize}}")).split("\n").slice(0, 2)).toEqual([
    "IMAGE ID                                                                  SIZE",
    `sha256:${"1".repeat(64)}   1.984MB`,
  ]);
});

test("a field that does not exist is told with Docker's type", async () => {
  await expect(table({}, "{{.Nope}}")).rejects.toThrow(
    'template parsing error: template: :1:2: executing "" at <.Nope>: can\'t evaluate field Nope in type *formatter.imageContext',
  );
});

const history = [
  {
    Id: `sha256:${"1".repeat(64)}`,
    Created: now / 1000 - 90,
    CreatedBy: '/bin/sh -c #(nop)\tCMD ["a very long command line that goes on"]',
    Size: 0,
    Comment: "",
    Tags: ["a:1"],
  },
  {
    Id: "<missing>",
    Created: now / 1000 - 86400 * 3,
    CreatedBy: "",
    Size: 1_984_374,
    Comment: "imported",
    Tags: [],
  },
];
const historyTable = (whole: boolean, human: boolean, format = "") =>
  renderList(historySpec({ whole, human, now }), history, { format });

test("history shows layers for people", async () => {
  expect(
    await historyTable(false, true),
  ).toBe(`IMAGE          CREATED              CREATED BY                                      SIZE      COMMENT
111111111111   About a minute ago   /bin/sh -c #(nop) CMD ["a very long command …   0B        
<missing>      3 days ago                                                           1.98MB    imported
`);
});

test("history -H=false shows dates and bytes", async () => {
  const [head = "", first = "", second = ""] = (await historyTable(true, false)).split("\n");
  expect(head).toMatch(/^IMAGE +CREATED AT +CREATED BY +SIZE +COMMENT$/);
  expect(first).toMatch(
    /2026-11-21T\d\d:58:30\S+ +\/bin\/sh -c #\(nop\) CMD \["a very long command line that goes on"\] +0/,
  );
  expect(second).toMatch(/^<missing> .* 1984374 +imported$/);
});
