import { describe, expect, test } from "bun:test";
import { effectiveCapabilities } from "./capabilities.ts";
import { hostFlag, ipFlag, linkFlag, searchFlag, sysctlFlag } from "./checks.ts";
import { deviceRuleFlag, parseDevices, parseGpus } from "./devices.ts";
import { parseByteRate, parseCpus, parseMemory, parseRestart, parseUlimit, parseWeight } from "./limits.ts";
import { isMac, networkConfig, parseNetwork } from "./networks.ts";

describe("limits", () => {
  test("CPUs are exact billionths", () => {
    expect(["1.5", "0.000000001", ".25", "1e1", "2"].map(parseCpus)).toEqual([1.5e9, 1, 2.5e8, 1e10, 2e9]);
    expect(() => parseCpus("0.0000000001")).toThrow("value is too precise");
    expect(() => parseCpus("1/3")).toThrow("value is too precise");
    expect(() => parseCpus("foo")).toThrow("failed to parse foo as a rational number");
  });
  test("ulimits have a soft and a hard value", () => {
    expect(parseUlimit("nofile=1024:2048")).toEqual({ Name: "nofile", Soft: 1024, Hard: 2048 });
    expect(parseUlimit("core=-1")).toEqual({ Name: "core", Soft: -1, Hard: -1 });
    expect(() => parseUlimit("nofile")).toThrow("invalid ulimit argument: nofile");
    expect(() => parseUlimit("foo=1")).toThrow("invalid ulimit type: foo");
    expect(() => parseUlimit("nofile=2:1")).toThrow(
      "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
    );
    expect(() => parseUlimit("nofile=1:2:3")).toThrow("too many limit value arguments");
  });
  test("memory may be unlimited only where that means something", () => {
    expect([parseMemory("-1", true), parseMemory("64m")]).toEqual([-1, 67108864]);
    expect(() => parseMemory("-1")).toThrow("invalid size: '-1'");
  });
  test("rates and weights are of devices", () => {
    expect(parseByteRate("/dev/sda:1mb")).toEqual({ Path: "/dev/sda", Rate: 1048576 });
    expect(() => parseByteRate("sda:1mb")).toThrow("bad format for device path: sda:1mb");
    expect(() => parseByteRate("/dev/sda")).toThrow("bad format: /dev/sda");
    expect(parseWeight("/dev/sda:200")).toEqual({ Path: "/dev/sda", Weight: 200 });
    expect(() => parseWeight("/dev/sda:5")).toThrow("invalid weight for device: /dev/sda:5");
  });
  test("restart policies carry a count", () => {
    expect(parseRestart("on-failure:3")).toEqual({ Name: "on-failure", MaximumRetryCount: 3 });
    expect(() => parseRestart("on-failure:x")).toThrow("maximum retry count must be an integer");
    expect(() => parseRestart(":3")).toThrow("no policy provided before colon");
  });
});

describe("devices", () => {
  test("are mapped with mode and path, or named for CDI", () => {
    expect(
      parseDevices(["/dev/fuse", "/dev/a:/dev/b", "/dev/c:r", "/dev/d:/dev/e:rw", "vendor.com/class=dev"]),
    ).toEqual({
      mappings: [
        { PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm" },
        { PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "rwm" },
        { PathOnHost: "/dev/c", PathInContainer: "/dev/c", CgroupPermissions: "r" },
        { PathOnHost: "/dev/d", PathInContainer: "/dev/e", CgroupPermissions: "rw" },
      ],
      cdi: ["vendor.com/class=dev"],
    });
    expect(() => parseDevices(["/dev/a:/dev/b:zz"])).toThrow("bad mode specified: zz");
    expect(() => deviceRuleFlag("x")).toThrow("invalid device cgroup format 'x'");
  });
  test("GPUs are counted or named", () => {
    expect(parseGpus("all")).toMatchObject({ Count: -1, Capabilities: [["gpu"]] });
    expect(parseGpus('"device=0,1",driver=nvidia')).toMatchObject({
      DeviceIDs: ["0", "1"],
      Driver: "nvidia",
    });
    expect(() => parseGpus("count=1,count=2")).toThrow("gpu request key 'count' can be specified only once");
    expect(() => parseGpus("foo=bar")).toThrow("unexpected key 'foo' in 'foo=bar'");
  });
  test("capabilities get their full names, and adding wins", () => {
    expect(effectiveCapabilities(["net_admin"], ["ALL", "CAP_NET_ADMIN", "CHOWN"])).toEqual({
      add: ["CAP_NET_ADMIN"],
      drop: ["ALL"],
    });
    expect(effectiveCapabilities(["CHOWN"], ["chown", "kill"])).toEqual({
      add: ["CAP_CHOWN"],
      drop: ["CAP_KILL"],
    });
  });
});

describe("networks", () => {
  const none = { aliases: [], links: [], ip: "", ip6: "", mac: "", linkLocal: [] };
  test("the long form says everything", () => {
    const attachment = parseNetwork(
      "name=foo,alias=a,alias=b,ip=1.2.3.4,driver-opt=K=v,mac-address=02:42:ac:11:00:02,gw-priority=5",
    );
    expect(networkConfig([attachment], none)).toEqual({
      mode: "foo",
      endpoints: {
        foo: {
          Aliases: ["a", "b"],
          DriverOpts: { k: "v" },
          MacAddress: "02:42:ac:11:00:02",
          GwPriority: 5,
          IPAMConfig: { IPv4Address: "1.2.3.4" },
        },
      },
    });
  });
  test("the short options speak for the first network", () => {
    const { endpoints } = networkConfig([parseNetwork("foo"), parseNetwork("bar")], {
      ...none,
      aliases: ["x"],
      ip: "10.0.0.9",
    });
    expect(endpoints).toEqual({ foo: { Aliases: ["x"], IPAMConfig: { IPv4Address: "10.0.0.9" } }, bar: {} });
  });
  test("contradictions are refused", () => {
    expect(() => networkConfig([parseNetwork("name=foo,alias=a")], { ...none, aliases: ["b"] })).toThrow(
      "conflicting options: cannot specify both --network-alias and per-network alias",
    );
    expect(() => networkConfig([parseNetwork("foo"), parseNetwork("foo")], none)).toThrow(
      'network "foo" is specified multiple times',
    );
    expect(() => networkConfig([parseNetwork("foo"), parseNetwork("host")], none)).toThrow(
      "cannot attach both user-defined and non-user-defined network-modes",
    );
    expect(() => networkConfig([parseNetwork("bridge")], { ...none, aliases: ["a"] })).toThrow(
      "network-scoped aliases are only supported for user-defined networks",
    );
    expect(() => parseNetwork("alias=a")).toThrow("network name/id is not specified");
    expect(() => parseNetwork("name=a,foo=b")).toThrow("invalid field key foo");
  });
  test("MAC addresses come in Go's forms", () => {
    expect(["02:42:ac:11:00:02", "02-42-ac-11-00-02", "0242.ac11.0002"].every(isMac)).toBe(true);
    expect(["zz", "02:42:ac:11:00", "02:42-ac:11:00:02"].some(isMac)).toBe(false);
  });
});

test("single values are checked where they are typed", () => {
  expect(hostFlag("c:[::1]")).toBe("c:::1");
  expect(hostFlag("d=host-gateway")).toBe("d:host-gateway");
  expect(() => hostFlag("foo")).toThrow('bad format for add-host: "foo"');
  expect(() => hostFlag("foo:bar")).toThrow('invalid IP address in add-host: "bar"');
  expect(() => ipFlag("foo")).toThrow("IP address is not correctly formatted: foo");
  expect(() => linkFlag("a:b:c")).toThrow("bad format for links: a:b:c");
  expect(searchFlag(".")).toBe(".");
  expect(() => searchFlag("foo bar")).toThrow("foo bar is not a valid domain");
  expect(() => sysctlFlag("foo=1")).toThrow("sysctl 'foo=1' is not allowed");
});
