import { afterAll, beforeAll, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  bindMapped,
  inOtherUserNamespace,
  type MappingNamespace,
  mountMaps,
  openMappingNamespace,
} from "./idmap.ts";
import { mountSpec, unmountIfMounted } from "./mount.ts";

const base = mkdtempSync("/tmp/tug-idmap-");
const at = (name: string) => {
  mkdirSync(join(base, name), { recursive: true });
  return join(base, name);
};
const ranges = [
  { containerID: 0, hostID: 200_000, size: 1000 },
  { containerID: 1000, hostID: 300_000, size: 1000 },
];
let namespace: MappingNamespace;
beforeAll(async () => {
  namespace = await openMappingNamespace(mountMaps({ uid: ranges, gid: ranges }));
});
afterAll(() => {
  namespace[Symbol.dispose]();
  for (const name of ["mapped", "merged"]) unmountIfMounted(join(base, name));
  rmSync(base, { recursive: true });
});

test("files seen through a mapped mount belong to the mapped ids, in every range", () => {
  const source = at("source");
  writeFileSync(join(source, "root"), "");
  writeFileSync(join(source, "user"), "");
  chownSync(join(source, "user"), 1001, 1002);
  bindMapped(source, at("mapped"), namespace);
  const owner = (name: string) => {
    const { uid, gid } = statSync(join(base, "mapped", name));
    return [uid, gid];
  };
  expect([owner("root"), owner("user")]).toEqual([
    [200_000, 200_000],
    [300_001, 300_002],
  ]);
});

test("an overlay of mapped layers stores what a mapped user makes under the id that he has inside", () => {
  for (const name of ["layers/lower", "layers/upper", "layers/work"]) at(name);
  writeFileSync(join(base, "layers/lower/old"), "");
  bindMapped(at("layers"), at("view"), namespace);
  const view = join(base, "view");
  const options = [`lowerdir=${view}/lower`, `upperdir=${view}/upper`, `workdir=${view}/work`];
  mountSpec({ type: "overlay", source: "overlay", options }, at("merged"));
  unmountIfMounted(view);
  const made = Bun.spawnSync(
    ["setpriv", "--reuid=200000", "--regid=200000", "--clear-groups", "touch", "new"],
    {
      cwd: join(base, "merged"),
    },
  );
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
  rmSync(join(base, "merged/old"));
  expect(statSync(join(base, "layers/upper/old")).isCharacterDevice()).toBe(true);
  expect(statSync(join(base, "merged/new")).uid).toBe(200_000);
  expect(statSync(join(base, "layers/upper/new")).uid).toBe(0);
});

test("processes of this user namespace are told from those of another", async () => {
  expect(inOtherUserNamespace(process.pid)).toBe(false);
  const other = Bun.spawn(["unshare", "-Ur", "sh", "-c", "echo; read end"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  await other.stdout.getReader().read();
  expect(inOtherUserNamespace(other.pid)).toBe(true);
  other.kill();
  await other.exited;
});
