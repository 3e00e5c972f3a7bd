import { notFound } from "../../base/lib/errors.ts";
import type { NetworkBackend } from "../routes/networks/backend.ts";
import type { FakeEngine } from "./engine.ts";

export function fakeNetworks(engine: FakeEngine): NetworkBackend {
  return {
    list: async () => [network()],
    create: async (request) => {
      engine.log("networkCreate", request);
      return { Id: "n".repeat(64), Warning: "" };
    },
    inspect: async (name) => {
      if (name === "missing") throw notFound("network missing not found");
      return network();
    },
    remove: async (name) => engine.log("networkRemove", name),
    connect: async (network, container, settings) =>
      engine.log("networkConnect", network, container, settings),
    disconnect: async (network, container, options) =>
      engine.log("networkDisconnect", network, container, options),
    prune: async () => ({ NetworksDeleted: null }),
  };
}

function network() {
  return {
    Name: "bridge",
    Id: "n".repeat(64),
    Driver: "bridge",
    Scope: "local",
    EnableIPv4: true,
    Labels: {},
  };
}
