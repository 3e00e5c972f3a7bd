import { conflict, notFound, TugError } from "../../base/lib/errors.ts";
import type { ContainerInspectResponse } from "../../base/spec/docker/api.gen.ts";
import type {
  AttachOptions,
  ContainerFilesBackend,
  ContainerLifecycleBackend,
  ContainerQueryBackend,
  ContainerStreamBackend,
} from "../routes/containers/backend.ts";
import type { StreamClient } from "../stream-client.ts";
import type { FakeContainer, FakeEngine } from "./engine.ts";

export function fakeLifecycle(engine: FakeEngine): ContainerLifecycleBackend {
  return {
    create: async (request, options) => {
      engine.log("create", request, options);
      if (request.Image === "missing") throw notFound("No such image: missing:latest");
      for (const other of engine.containers.values()) {
        if (other.name === options.name) {
          throw conflict(
            `Conflict. The container name "/${other.name}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
          );
        }
      }
      const id = engine.id();
      engine.containers.set(id, {
        id,
        name: options.name ?? `fake_${engine.next}`,
        request,
        running: false,
        exitCode: 0,
        exited: Promise.withResolvers<number>(),
        attached: Promise.withResolvers<void>(),
      });
      return { Id: id, Warnings: [] };
    },
    start: async (id, options) => {
      engine.log("start", id, options);
      const container = engine.find(id);
      if (container.request.Cmd?.[0] === "nonexistent") {
        throw new TugError("runtime-command", 'exec: "nonexistent": executable file not found in $PATH', {
          detail: { exitCode: 127 },
        });
      }
      container.running = true;
      if (!container.request.AttachStdout) queueMicrotask(() => undefined);
    },
    stop: async (id, options) => {
      engine.log("stop", id, options);
      const container = engine.find(id);
      if (!container.running) throw new TugError("not-modified", "");
      engine.stop(container, 137);
    },
    restart: async (id, options) => engine.log("restart", id, options),
    kill: async (id, signal) => {
      engine.log("kill", id, signal);
      const container = engine.find(id);
      if (!container.running) throw conflict(`container ${container.id} is not running`);
      // The docker CLI passes the signal of a resized terminal on.
      if (signal !== "WINCH") engine.stop(container, 137);
    },
    pause: async (id) => engine.log("pause", id),
    unpause: async (id) => engine.log("unpause", id),
    rename: async (id, name) => {
      engine.log("rename", id, name);
      engine.find(id).name = name;
    },
    update: async (id, change) => {
      engine.log("update", id, change);
      return { Warnings: [] };
    },
    remove: async (id, options) => {
      engine.log("remove", id, options);
      const container = engine.find(id);
      engine.stop(container, 137);
      engine.containers.delete(container.id);
    },
    wait: async (id, condition) => {
      engine.log("wait", id, condition);
      const container = engine.find(id);
      return { done: container.exited.promise.then((StatusCode) => ({ StatusCode })) };
    },
    prune: async (filters) => {
      engine.log("prune", filters);
      return { ContainersDeleted: null, SpaceReclaimed: 0 };
    },
  };
}

export function fakeQueries(engine: FakeEngine): ContainerQueryBackend {
  return {
    list: async (options) => {
      engine.log("list", options);
      return [...engine.containers.values()]
        .filter((container) => options.all || container.running)
        .map((container) => ({
          Id: container.id,
          Names: [`/${container.name}`],
          Image: container.request.Image ?? "",
          ImageID: `sha256:${"a".repeat(64)}`,
          Command: container.request.Cmd?.join(" ") ?? "",
          Created: 1_700_000_000,
          Ports: [],
          Labels: {},
          State: container.running ? "running" : "exited",
          Status: container.running ? "Up 2 minutes" : `Exited (${container.exitCode}) 2 minutes ago`,
          HostConfig: { NetworkMode: "bridge", Annotations: { a: "b" } },
          NetworkSettings: { Networks: {} },
          Mounts: [],
          Health: { Status: "none", FailingStreak: 0 },
        }));
    },
    inspect: async (id, options) => {
      engine.log("inspect", id, options);
      return inspect(engine.find(id));
    },
    top: async (id, psArgs) => {
      engine.log("top", id, psArgs);
      return { Titles: ["PID", "CMD"], Processes: [["1", "sh"]] };
    },
    changes: async () => null,
    stats: async function* (this: void) {
      yield { name: "/fake", id: "f", read: "2024-01-02T03:04:05Z" };
      yield { name: "/fake", id: "f", read: "2024-01-02T03:04:06Z" };
    },
  };
}

export function fakeStreams(engine: FakeEngine): ContainerStreamBackend {
  return {
    attach: (id, options, client) => attach(engine, id, options, client),
    logs: async (id, options, client) => {
      engine.log("logs", id, options);
      const container = engine.find(id);
      client.begin({ tty: container.request.Tty ?? false });
      await client.write("stdout", new TextEncoder().encode("to stdout\n"));
      await client.write("stderr", new TextEncoder().encode("to stderr\n"));
    },
    resize: async (id, rows, columns) => {
      engine.log("resize", id, rows, columns);
      engine.sizes.push([rows, columns]);
    },
  };
}

export function fakeFiles(engine: FakeEngine): ContainerFilesBackend {
  return {
    statPath: async (_, path) => {
      if (path === "/none") throw notFound("Could not find the file /none in container fake");
      return { name: path.slice(1), size: 3, mode: 0o644, mtime: "2024-01-02T03:04:05Z", linkTarget: "" };
    },
    getArchive: async (_, path) => ({
      stat: { name: path.slice(1), size: 3, mode: 0o644, mtime: "2024-01-02T03:04:05Z", linkTarget: "" },
      tar: new Blob(["tar bytes"]).stream(),
    }),
    putArchive: async (id, path, tar, options) => {
      engine.log("putArchive", id, path, await new Response(tar).text(), options);
    },
    export: async () => new Blob(["exported"]).stream(),
    commit: async (id, options) => {
      engine.log("commit", id, options);
      return { Id: `sha256:${"b".repeat(64)}` };
    },
  };
}

function inspect(container: FakeContainer): ContainerInspectResponse {
  const { HostConfig, NetworkingConfig: _, ...config } = container.request;
  return {
    Id: container.id,
    Created: "2024-01-02T03:04:05.678901234Z",
    Path: container.request.Cmd?.[0] ?? "",
    Args: container.request.Cmd?.slice(1) ?? [],
    State: {
      Status: container.running ? "running" : "exited",
      Running: container.running,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: container.running ? 4242 : 0,
      ExitCode: container.exitCode,
      Error: "",
      StartedAt: "2024-01-02T03:04:06Z",
      FinishedAt: "0001-01-01T00:00:00Z",
    },
    Name: `/${container.name}`,
    Config: config,
    HostConfig: HostConfig ?? {},
    NetworkSettings: {
      Ports: {},
      Networks: {
        bridge: {
          IPAddress: "172.17.0.2",
          IPPrefixLen: 16,
          Gateway: "172.17.0.1",
          MacAddress: "02:42:ac:11:00:02",
        },
        mine: { IPAddress: "172.18.0.2", Aliases: ["web"] },
      },
    },
    Storage: { RootFS: { Snapshot: { Name: "overlay2" } } },
    Mounts: [],
  };
}

async function attach(
  engine: FakeEngine,
  id: string,
  options: AttachOptions,
  client: StreamClient,
): Promise<void> {
  const container = engine.find(id);
  engine.log("attach", id, options);
  const tty = container.request.Tty ?? false;
  client.begin({ tty });
  container.attached.resolve();
  while (!container.running) await new Promise((resolve) => setImmediate(resolve));
  const code = await engine.program(container.request.Cmd ?? [], tty, client);
  engine.stop(container, code);
}
