import type { MountPoint } from "../../../base/spec/docker/api.gen.ts";
import type { ContainerRecord, MountRecord } from "../record.ts";

/** Mounts as inspect and list show them. */
export function mountPoints(record: ContainerRecord): MountPoint[] {
  return record.definition.mounts.map(mountPoint);
}

function mountPoint(mount: MountRecord): MountPoint {
  const shared = { Destination: mount.target, Mode: mount.mode, RW: !mount.readonly };
  switch (mount.type) {
    case "volume":
      return {
        Type: "volume",
        Name: mount.name,
        Source: mount.source,
        ...shared,
        Driver: mount.driver,
        Propagation: "",
      };
    case "bind":
      return { Type: "bind", Source: mount.source, ...shared, Propagation: mount.propagation };
    case "tmpfs":
      return { Type: "tmpfs", Source: "", ...shared, Propagation: "" };
    case "image":
      return { Type: "image", Source: mount.source, ...shared, Propagation: "" };
  }
}
