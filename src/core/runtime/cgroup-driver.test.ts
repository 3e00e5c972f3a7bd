import { expect, test } from "bun:test";
import {
  cgroupLayout,
  cgroupsPathOf,
  checkCgroupParent,
  defaultCgroupDriver,
  isNamedFor,
} from "./cgroup-driver.ts";

test("systemd drives the cgroups where it owns the tree", () => {
  const host = (version: "v1" | "v2") => ({ version, controllers: [], mounts: new Map() });
  expect(defaultCgroupDriver(host("v2"), true)).toBe("systemd");
  expect(defaultCgroupDriver(host("v2"), false)).toBe("cgroupfs");
  expect(defaultCgroupDriver(host("v1"), true)).toBe("cgroupfs");
});

test("a container's cgroup is a directory below the parent, or lies in a scope below the slice", () => {
  const plain = cgroupLayout("cgroupfs", undefined, "tug-0123abcd");
  expect(cgroupsPathOf(plain, "", "c1")).toBe("/tug-0123abcd/c1");
  expect(cgroupsPathOf(plain, "team/a", "c1")).toBe("/team/a/c1");
  const systemd = cgroupLayout("systemd", undefined, "tug");
  expect(cgroupsPathOf(systemd, "", "c1")).toBe("/system.slice/tug-c1.scope/container");
  const nested = cgroupsPathOf(systemd, "team-a-web.slice", "c1");
  expect(nested).toBe("/team.slice/team-a.slice/team-a-web.slice/tug-c1.scope/container");
  expect(cgroupsPathOf(systemd, "-.slice", "c1")).toBe("/tug-c1.scope/container");
  for (const path of ["/team/a/c1", nested]) expect(isNamedFor(path, "c1")).toBe(true);
  for (const path of ["/team/a", "/system.slice/tug-c2.scope/container"])
    expect(isNamedFor(path, "c1")).toBe(false);
});

test("with systemd a parent is a slice", () => {
  const words = 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"';
  for (const parent of ["/team", "team", ".slice", "a/b.slice", "-a.slice", "a--b.slice"]) {
    expect(() => checkCgroupParent("systemd", parent)).toThrow(words);
    expect(() => checkCgroupParent("cgroupfs", parent)).not.toThrow();
  }
  for (const parent of ["", "team.slice", "team-a.slice"]) {
    expect(() => checkCgroupParent("systemd", parent)).not.toThrow();
  }
  expect(() => cgroupLayout("systemd", "/x", "tug")).toThrow(words);
});
