import { expect, test } from "bun:test";
import type { ImageId } from "../../../base/lib/ids.ts";
import type { ContainerConfig, HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { MountRecord } from "../record.ts";
import { planMounts } from "./mount-plan.ts";

const inherited: readonly MountRecord[] = [
  {
    type: "volume",
    target: "/shared",
    name: "theirs",
    driver: "local",
    source: "/v/theirs",
    mode: "z",
    readonly: false,
    copy: true,
    subpath: "",
    anonymous: false,
    labels: {},
    options: {},
  },
];

function plan(host: HostConfig, config: ContainerConfig = {}) {
  return planMounts(config, host, {
    mountsOf: () => inherited,
    exists: (path) => path === "/there",
    imageId: () => "sha256:1" as ImageId,
    randomVolumeName: () => "random",
    daemonRoot: "/var/lib/tug",
  });
}

test("-v makes binds, named and anonymous volumes", () => {
  expect(plan({ Binds: ["/host/dir/:/a/:ro", "data:/b", "logs:/c:ro,nocopy"] })).toMatchObject([
    { type: "bind", source: "/host/dir", target: "/a", readonly: true, mode: "ro", createSource: true },
    { type: "volume", name: "data", target: "/b", readonly: false, mode: "z", copy: true },
    { type: "volume", name: "logs", target: "/c", readonly: true, copy: false },
  ]);
  expect(plan({}, { Volumes: { "/anon": {} } })).toMatchObject([
    { type: "volume", name: "random", target: "/anon", anonymous: true },
  ]);
});

test("an image's volume yields to every mount somebody asked for", () => {
  const config = { Volumes: { "/a": {}, "/b": {}, "/shared": {}, "/t": {} } };
  const targets = plan({ Binds: ["/h:/a"], VolumesFrom: ["other"], Tmpfs: { "/t": "" } }, config).map(
    (mount) => `${mount.type} ${mount.target}`,
  );
  expect(targets.sort()).toEqual(["bind /a", "volume /b", "volume /shared"]);
});

test("--volumes-from takes over mounts, read-only when asked, and own mounts replace them", () => {
  expect(plan({ VolumesFrom: ["other:ro"] })).toMatchObject([{ name: "theirs", readonly: true }]);
  expect(plan({ VolumesFrom: ["other"], Binds: ["/h:/shared"] })).toMatchObject([{ type: "bind" }]);
});

test("--mount refuses a source that is not there, in Docker's words", () => {
  const bind = (Source: string) => plan({ Mounts: [{ Type: "bind", Source, Target: "/x" }] });
  expect(bind("/there")).toMatchObject([{ type: "bind", createSource: false }]);
  expect(() => bind("/gone")).toThrow(
    'invalid mount config for type "bind": bind source path does not exist: /gone',
  );
  expect(() => bind("")).toThrow("field Source must not be empty");
});

test("bad specifications are refused", () => {
  for (const [bind, text] of [
    ["a:b:c:d", "invalid volume specification: 'a:b:c:d'"],
    ["/a:rel", "mount path must be absolute"],
    ["/a:/", "destination can't be '/'"],
    ["/a:/b:zz", "invalid mode: zz"],
    ["/a:/b:ro,rw", "invalid mode: ro,rw"],
    ["../x:/b", "includes invalid characters for a local volume name"],
    ["", "invalid volume specification"],
  ] as const) {
    expect(() => plan({ Binds: [bind] })).toThrow(text);
  }
  expect(() => plan({ Binds: ["/a:/b", "/c:/b"] })).toThrow("Duplicate mount point: /b");
  expect(() => plan({ Binds: ["/a:/b"], Tmpfs: { "/b/": "" } })).toThrow("Duplicate mount point: /b");
  const volume = { Type: "volume", Source: "vol", Target: "/x", VolumeOptions: { Subpath: "../up" } };
  expect(() => plan({ Mounts: [volume] })).toThrow("subpath must be a relative path within the volume");
  expect(() => plan({ Mounts: [{ Type: "odd", Target: "/x" }] })).toThrow("mount type unknown");
});

test("a bind that holds the daemon's root follows its unmounts", () => {
  const propagation = (bind: string) => (plan({ Binds: [bind] })[0] as { propagation: string }).propagation;
  expect(propagation("/:/host")).toBe("rslave");
  expect(propagation("/var/lib/tug/volumes:/v:rshared")).toBe("rshared");
  expect(propagation("/var/lib/tugboat:/v")).toBe("rprivate");
  expect(() => propagation("/var:/v:private")).toThrow(
    'must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root',
  );
});
