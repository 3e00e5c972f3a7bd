import { invalid } from "../../base/lib/errors.ts";
import type { HostConfig } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** What each version let a mount say; returns warnings. */
export function checkMounts(version: ApiVersion, host: HostConfig): readonly string[] {
  const mounts = host.Mounts ?? [];
  for (const mount of mounts) {
    const type = mount.Type ?? "";
    if (version < 40 && mount.BindOptions) delete mount.BindOptions.NonRecursive;
    if (version < 42) {
      if (mount.BindOptions) delete mount.BindOptions.CreateMountpoint;
      // Not checked before 1.42, so clients may send them for nothing.
      if (type !== "volume") delete mount.VolumeOptions;
      if (type !== "tmpfs") delete mount.TmpfsOptions;
    } else {
      for (const [options, owner] of [
        ["VolumeOptions", "volume"],
        ["BindOptions", "bind"],
        ["TmpfsOptions", "tmpfs"],
      ] as const) {
        if (mount[options] && type !== owner) {
          throw invalid(`${options} must not be specified on mount type "${type}"`);
        }
      }
    }
    if (version < 44 && type === "bind" && mount.BindOptions?.ReadOnlyForceRecursive) {
      throw invalid("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
    }
    if (version < 45 && mount.VolumeOptions?.Subpath) {
      throw invalid("VolumeOptions.Subpath needs API v1.45 or newer");
    }
    if (version < 48 && type === "image") throw invalid('Mount type "Image" needs API v1.48 or newer');
  }
  if (!host.VolumeDriver || version < 48) return [];
  const ignored = mounts.some((m) => m.Type === "volume" && !m.VolumeOptions?.DriverConfig?.Name);
  return ignored
    ? [
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead",
      ]
    : [];
}
