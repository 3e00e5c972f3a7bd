import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { parseMount } from "./mount.ts";
import { parseTmpfs, parseVolumes } from "./volumes.ts";

describe("--mount", () => {
  test("binds, with propagation and recursion", () => {
    expect(
      parseMount("type=bind,source=/a,target=/b,readonly,bind-propagation=rslave,bind-recursive=disabled"),
    ).toEqual({
      Type: "bind",
      Source: "/a",
      Target: "/b",
      ReadOnly: true,
      BindOptions: { Propagation: "rslave", NonRecursive: true },
    });
  });

  test("volumes are the default, with driver, options and labels", () => {
    expect(
      parseMount(
        "src=v,dst=/b,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=type=tmpfs,volume-opt=o=size=1m",
      ),
    ).toEqual({
      Type: "volume",
      Source: "v",
      Target: "/b",
      VolumeOptions: {
        NoCopy: true,
        Labels: { a: "b" },
        DriverConfig: { Name: "local", Options: { type: "tmpfs", o: "size=1m" } },
      },
    });
  });

  test("tmpfs with size and mode; image with a folder of it", () => {
    expect(parseMount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777")).toEqual({
      Type: "tmpfs",
      Target: "/t",
      TmpfsOptions: { SizeBytes: 67108864, Mode: 0o1777 },
    });
    expect(parseMount("type=image,src=alpine,target=/x,image-subpath=etc").ImageOptions).toEqual({
      Subpath: "etc",
    });
  });

  test("relative sources are of this folder, quoted ones may hold commas", () => {
    expect(parseMount("type=bind,src=./x,dst=/y").Source).toBe(resolve("x"));
    expect(parseMount('type=bind,"src=/a,b",dst=/y').Source).toBe("/a,b");
  });

  test.each([
    ["", "EOF"],
    ["type=bind,foo", "invalid field 'foo' must be a key=value pair"],
    ["type=bind,foo=bar", "unexpected key 'foo' in 'foo=bar'"],
    ["type=bind,src=/a", "target is required"],
    ["type=,target=/b", "type is required"],
    [
      "type=volume,src=v,target=/x,bind-propagation=rslave",
      "cannot mix 'bind-*' options with mount type 'volume'",
    ],
    ["type=bind,src=/v,target=/x,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'bind'"],
    ["type=tmpfs,target=/x,tmpfs-size=zz", "invalid value for tmpfs-size: zz"],
    ["type=tmpfs,target=/x,tmpfs-mode=zz", "invalid value for tmpfs-mode: zz"],
    ["type=bind,src=/a,target=/b,readonly=foo", "invalid value for readonly: foo"],
    [
      "type=bind,src=/x,dst=/y,bind-recursive=foo",
      'invalid value for bind-recursive: foo (must be "enabled", "disabled", "writable", or "readonly")',
    ],
    [
      "type=bind,src=/x,dst=/y,bind-recursive=writable",
      "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
    ],
    [
      "type=bind,src=/x,dst=/y,bind-recursive=readonly,ro",
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    ],
  ])("%p is refused", (value, message) => {
    expect(() => parseMount(value)).toThrow(message);
  });
});

describe("-v", () => {
  test("tells binds and named volumes from anonymous ones", () => {
    expect(parseVolumes(["/a:/b", "vol:/c:ro", "/anon", "./rel:/d", "../x:/y:z"])).toEqual({
      binds: ["/a:/b", "vol:/c:ro", `${resolve("rel")}:/d`, `${resolve("../x")}:/y:z`],
      anonymous: { "/anon": {} },
    });
  });
  test("leaves what it does not know to the daemon", () => {
    expect(parseVolumes(["/a:/b:zz", "a:b:c:d"]).binds).toEqual(["/a:/b:zz", "a:b:c:d"]);
  });
  test("refuses empty sections", () => {
    expect(() => parseVolumes([":/x:zz"])).toThrow("invalid spec: :/x:zz: empty section between colons");
    expect(() => parseVolumes([""])).toThrow("invalid empty volume spec");
  });
});

test("--tmpfs splits path and options", () => {
  expect(parseTmpfs(["/run", "/tmp:size=64m,mode=1777"])).toEqual({
    "/run": "",
    "/tmp": "size=64m,mode=1777",
  });
});
