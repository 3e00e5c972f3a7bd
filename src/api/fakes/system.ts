import { TugError } from "../../base/lib/errors.ts";
import type { SystemBackend } from "../routes/system/backend.ts";
import type { FakeEngine } from "./engine.ts";

export function fakeSystem(engine: FakeEngine): SystemBackend {
  return {
    info: async () => ({
      ID: "fake",
      Containers: 0,
      RuncCommit: { ID: "abc" },
      FirewallBackend: { Driver: "nftables" },
    }),
    version: async () => ({
      Version: "0.1.0",
      ApiVersion: "1.56",
      MinAPIVersion: "1.24",
      Os: "linux",
      Arch: "amd64",
      Platform: { Name: "Tug" },
      Components: [],
    }),
    events: (options, signal) => events(engine, options, signal),
    diskUsage: async (types, options) => {
      engine.log("diskUsage", types, options);
      return { ImageUsage: { TotalSize: 5, TotalCount: 1, Items: [{ Id: "i" }] } };
    },
    check: async (options) => {
      engine.log("check", options);
      return { Quick: options.quick, Checked: { Images: 1 }, Findings: [] };
    },
    login: async (credentials) => {
      engine.log("login", credentials);
      if (credentials.password === "wrong") {
        throw new TugError(
          "unauthorized",
          "Get https://registry/v2/: unauthorized: incorrect username or password",
        );
      }
      return { Status: "Login Succeeded" };
    },
    distribution: async (reference, auth) => {
      engine.log("distribution", reference, auth);
      return { Descriptor: {}, Platforms: [] };
    },
  };
}

async function* events(engine: FakeEngine, options: unknown, signal: AbortSignal) {
  engine.log("events", options);
  const time = { time: 1_700_000_000, timeNano: 1_700_000_000_000_000_000, scope: "local" as const };
  const follow = (options as { until?: bigint }).until === undefined;
  try {
    yield { Type: "image", Action: "create", Actor: { ID: "sha256:a", Attributes: {} }, ...time };
    yield {
      Type: "container",
      Action: "start",
      Actor: { ID: "c1", Attributes: { image: "busybox", name: "x" } },
      ...time,
    };
    if (!follow) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
  } finally {
    // Also for who goes away while it is told of one of them.
    if (follow) engine.log("events over");
  }
}
