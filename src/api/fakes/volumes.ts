import { notFound } from "../../base/lib/errors.ts";
import type { VolumeBackend } from "../routes/volumes/backend.ts";
import type { FakeEngine } from "./engine.ts";

export function fakeVolumes(engine: FakeEngine): VolumeBackend {
  return {
    list: async () => ({ Volumes: [], Warnings: [] }),
    create: async (request) => {
      engine.log("volumeCreate", request);
      return volume(request.Name ?? "anonymous");
    },
    inspect: async (name) => {
      if (name === "missing") throw notFound("get missing: no such volume");
      return volume(name);
    },
    remove: async (name, options) => engine.log("volumeRemove", name, options),
    prune: async (filters) => {
      engine.log("volumePrune", filters);
      return { VolumesDeleted: null, SpaceReclaimed: 0 };
    },
  };
}

function volume(name: string) {
  return {
    Name: name,
    Driver: "local",
    Mountpoint: `/v/${name}`,
    Scope: "local" as const,
    Labels: {},
    Options: {},
  };
}
