import type { Mount } from "../../base/spec/docker/api.gen.ts";
import { bool, int, list, map, object, type Shape, string } from "./shape.ts";

type Options<K extends keyof Mount> = NonNullable<Mount[K]>;

export const mountShape: Shape<Mount> = object<Mount>({
  Target: string,
  Source: string,
  Type: string,
  ReadOnly: bool,
  Consistency: string,
  BindOptions: object<Options<"BindOptions">>({
    Propagation: string,
    NonRecursive: bool,
    CreateMountpoint: bool,
    ReadOnlyNonRecursive: bool,
    ReadOnlyForceRecursive: bool,
  }),
  VolumeOptions: object<Options<"VolumeOptions">>({
    NoCopy: bool,
    Labels: map(string),
    DriverConfig: object<NonNullable<Options<"VolumeOptions">["DriverConfig"]>>({
      Name: string,
      Options: map(string),
    }),
    Subpath: string,
  }),
  ImageOptions: object<Options<"ImageOptions">>({ Subpath: string }),
  TmpfsOptions: object<Options<"TmpfsOptions">>({
    SizeBytes: int,
    Mode: int,
    Options: list(list(string)),
  }),
});
