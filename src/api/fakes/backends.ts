import { conflict, notFound, TugError } from "../../base/lib/errors.ts";
import type { ContainerInspectResponse } from "../../base/spec/docker/api.gen.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import type { CreateRequest, ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import type { Backends } from "../backend.ts";
import type { AttachOptions } from "../routes/containers/backend.ts";
import type { StreamClient } from "../stream-client.ts";

/** A container of the fake: what it was created with, and whether it "runs". */
export interface FakeContainer {
  readonly id: string;
  name: string;
  readonly request: CreateRequest;
  running: boolean;
  exitCode: number;
  readonly exited: PromiseWithResolvers<number>;
  /** Resolves once somebody is attached. */
  readonly attached: PromiseWithResolvers<void>;
}

/** Backends without an engine: containers whose program is an echo, so that routes and clients can be tested alone. */
export class FakeBackends {
  readonly containers = new Map<string, FakeContainer>();
  readonly execs = new Map<
    string,
    { readonly container: string; readonly request: ExecCreateRequest; exitCode: number }
  >();
  /** Every call: its name and its arguments without the streams. */
  readonly calls: (readonly [string, ...unknown[]])[] = [];
  readonly sizes: (readonly [number, number])[] = [];
  #next = 1;

  #id(): string {
    return (this.#next++).toString(16).padStart(64, "c");
  }

  find(name: string): FakeContainer {
    for (const container of this.containers.values()) {
      if (container.id.startsWith(name) || container.name === name.replace(/^\//, "")) return container;
    }
    throw notFound(`No such container: ${name}`);
  }

  #log(name: string, ...values: unknown[]): void {
    this.calls.push([name, ...values]);
  }

  /** The echo program: stdout is what comes on stdin, or the command's words. */
  async #program(command: readonly string[], tty: boolean, client: StreamClient): Promise<number> {
    const [name, ...words] = command;
    const encode = (text: string) => new TextEncoder().encode(text);
    if (name === "fail") {
      await client.write(tty ? "stdout" : "stderr", encode("failed\n"));
      return Number(words[0] ?? 1);
    }
    if (name === "spout") {
      const chunk = new Uint8Array(8192).fill(97);
      for (let left = Number(words[0]); left > 0; left -= chunk.length) await client.write("stdout", chunk);
      return 0;
    }
    if (name === "count" && client.stdin) {
      let total = 0;
      for await (const piece of client.stdin) total += piece.length;
      await client.write("stdout", encode(`${total}\n`));
      return 0;
    }
    if (client.stdin) {
      for await (const piece of client.stdin) {
        if (tty && piece.includes(4)) break;
        await client.write("stdout", piece);
      }
      return 0;
    }
    await client.write("stdout", encode(`${words.join(" ")}\n`));
    return 0;
  }

  #stop(container: FakeContainer, code: number): void {
    if (!container.running) return;
    container.running = false;
    container.exitCode = code;
    container.exited.resolve(code);
    if (container.request.HostConfig?.AutoRemove) this.containers.delete(container.id);
  }

  #inspect(container: FakeContainer): ContainerInspectResponse {
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

  async #attach(id: string, options: AttachOptions, client: StreamClient): Promise<void> {
    const container = this.find(id);
    this.#log("attach", id, options);
    const tty = container.request.Tty ?? false;
    client.begin({ tty });
    container.attached.resolve();
    while (!container.running) await new Promise((resolve) => setImmediate(resolve));
    const code = await this.#program(container.request.Cmd ?? [], tty, client);
    this.#stop(container, code);
  }

  readonly backends: Backends = {
    lifecycle: {
      create: async (request, options) => {
        this.#log("create", request, options);
        if (request.Image === "missing") throw notFound("No such image: missing:latest");
        for (const other of this.containers.values()) {
          if (other.name === options.name) {
            throw conflict(
              `Conflict. The container name "/${other.name}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
            );
          }
        }
        const id = this.#id();
        this.containers.set(id, {
          id,
          name: options.name ?? `fake_${this.#next}`,
          request,
          running: false,
          exitCode: 0,
          exited: Promise.withResolvers<number>(),
          attached: Promise.withResolvers<void>(),
        });
        return { Id: id, Warnings: [] };
      },
      start: async (id, options) => {
        this.#log("start", id, options);
        const container = this.find(id);
        if (container.request.Cmd?.[0] === "nonexistent") {
          throw new TugError("runtime-command", 'exec: "nonexistent": executable file not found in $PATH', {
            detail: { exitCode: 127 },
          });
        }
        container.running = true;
        if (!container.request.AttachStdout) queueMicrotask(() => undefined);
      },
      stop: async (id, options) => {
        this.#log("stop", id, options);
        const container = this.find(id);
        if (!container.running) throw new TugError("not-modified", "");
        this.#stop(container, 137);
      },
      restart: async (id, options) => this.#log("restart", id, options),
      kill: async (id, signal) => {
        this.#log("kill", id, signal);
        const container = this.find(id);
        if (!container.running) throw conflict(`container ${container.id} is not running`);
        // The docker CLI passes the signal of a resized terminal on.
        if (signal !== "WINCH") this.#stop(container, 137);
      },
      pause: async (id) => this.#log("pause", id),
      unpause: async (id) => this.#log("unpause", id),
      rename: async (id, name) => {
        this.#log("rename", id, name);
        this.find(id).name = name;
      },
      update: async (id, change) => {
        this.#log("update", id, change);
        return { Warnings: [] };
      },
      remove: async (id, options) => {
        this.#log("remove", id, options);
        const container = this.find(id);
        this.#stop(container, 137);
        this.containers.delete(container.id);
      },
      wait: async (id, condition) => {
        this.#log("wait", id, condition);
        const container = this.find(id);
        return { done: container.exited.promise.then((StatusCode) => ({ StatusCode })) };
      },
      prune: async (filters) => {
        this.#log("prune", filters);
        return { ContainersDeleted: null, SpaceReclaimed: 0 };
      },
    },
    containers: {
      list: async (options) => {
        this.#log("list", options);
        return [...this.containers.values()]
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
        this.#log("inspect", id, options);
        return this.#inspect(this.find(id));
      },
      top: async (id, psArgs) => {
        this.#log("top", id, psArgs);
        return { Titles: ["PID", "CMD"], Processes: [["1", "sh"]] };
      },
      changes: async () => null,
      stats: async function* (this: void) {
        yield { name: "/fake", id: "f", read: "2024-01-02T03:04:05Z" };
        yield { name: "/fake", id: "f", read: "2024-01-02T03:04:06Z" };
      },
    },
    streams: {
      attach: (id, options, client) => this.#attach(id, options, client),
      logs: async (id, options, client) => {
        this.#log("logs", id, options);
        const container = this.find(id);
        client.begin({ tty: container.request.Tty ?? false });
        await client.write("stdout", new TextEncoder().encode("to stdout\n"));
        await client.write("stderr", new TextEncoder().encode("to stderr\n"));
      },
      resize: async (id, rows, columns) => {
        this.#log("resize", id, rows, columns);
        this.sizes.push([rows, columns]);
      },
    },
    files: {
      statPath: async (_, path) => {
        if (path === "/none") throw notFound("Could not find the file /none in container fake");
        return { name: path.slice(1), size: 3, mode: 0o644, mtime: "2024-01-02T03:04:05Z", linkTarget: "" };
      },
      getArchive: async (_, path) => ({
        stat: { name: path.slice(1), size: 3, mode: 0o644, mtime: "2024-01-02T03:04:05Z", linkTarget: "" },
        tar: new Blob(["tar bytes"]).stream(),
      }),
      putArchive: async (id, path, tar, options) => {
        this.#log("putArchive", id, path, await new Response(tar).text(), options);
      },
      export: async () => new Blob(["exported"]).stream(),
      commit: async (id, options) => {
        this.#log("commit", id, options);
        return { Id: `sha256:${"b".repeat(64)}` };
      },
    },
    exec: {
      createExec: async (containerId, request) => {
        this.#log("createExec", containerId, request);
        const container = this.find(containerId);
        if (!container.running) throw conflict(`container ${container.id} is not running`);
        const id = this.#id();
        this.execs.set(id, { container: container.id, request, exitCode: 0 });
        return { Id: id };
      },
      startExec: async (execId, options, client) => {
        this.#log("startExec", execId, options);
        const exec = this.execs.get(execId);
        if (!exec) throw notFound(`No such exec instance: ${execId}`);
        if (exec.request.Cmd?.[0] === "nonexistent") {
          exec.exitCode = 127;
          throw new TugError(
            "runtime-command",
            'OCI runtime exec failed: exec failed: unable to start container process: exec: "nonexistent": executable file not found in $PATH: unknown',
          );
        }
        if (!client) return;
        client.begin({ tty: options.tty });
        exec.exitCode = await this.#program(exec.request.Cmd ?? [], options.tty, client);
      },
      resizeExec: async (id, rows, columns) => {
        this.#log("resizeExec", id, rows, columns);
        this.sizes.push([rows, columns]);
      },
      inspectExec: async (execId) => {
        const exec = this.execs.get(execId);
        if (!exec) throw notFound(`No such exec instance: ${execId}`);
        return {
          ID: execId,
          Running: false,
          ExitCode: exec.exitCode,
          ProcessConfig: {
            tty: exec.request.Tty ?? false,
            entrypoint: exec.request.Cmd?.[0] ?? "",
            arguments: [],
          },
          OpenStdin: exec.request.AttachStdin ?? false,
          OpenStderr: exec.request.AttachStderr ?? false,
          OpenStdout: exec.request.AttachStdout ?? false,
          CanRemove: false,
          ContainerID: exec.container,
          DetachKeys: "",
          Pid: 1,
        };
      },
    },
    images: {
      list: async (options) => {
        this.#log("images", options);
        return [
          {
            Id: `sha256:${"a".repeat(64)}`,
            ParentId: "",
            RepoTags: [],
            RepoDigests: [],
            Created: 1_700_000_000,
            Size: 1000,
            SharedSize: -1,
            Labels: {},
            Containers: 2,
          },
        ];
      },
      inspect: async (reference, options) => {
        this.#log("imageInspect", reference, options);
        if (reference === "missing") throw notFound("No such image: missing");
        return {
          Id: `sha256:${"a".repeat(64)}`,
          RepoTags: ["busybox:latest"],
          Size: 1000,
          Config: { Cmd: ["sh"] },
          Architecture: "amd64",
          Os: "linux",
        };
      },
      history: async (reference, options) => {
        this.#log("history", reference, options);
        return [];
      },
      attestations: async (reference, options) => {
        this.#log("attestations", reference, options);
        return [];
      },
      tag: async (source, repo, tag) => this.#log("tag", source, repo, tag),
      remove: async (reference, options) => {
        this.#log("imageRemove", reference, options);
        return [{ Untagged: "busybox:latest" }];
      },
      pull: (reference, options) => this.#pull(reference, options),
      push: (reference, options) => this.#push(reference, options),
      inventory: async () => ({ Version: 1, Blobs: [`sha256:${"e".repeat(64)}`], Chains: [] }),
      bootstrap: (request) => this.#bootstrap(request),
      import: (source, options) => this.#import(source, options),
      load: (tar, options) => this.#load(tar, options),
      save: async (references, options) => {
        this.#log("save", references, options);
        return new Blob(["saved"]).stream();
      },
      prune: async () => ({ ImagesDeleted: null, SpaceReclaimed: 0 }),
      search: async (term, options) => {
        this.#log("search", term, options);
        return [];
      },
      readManifest: async (reference, options) => {
        this.#log("readManifest", reference, options);
        const digest = `sha256:${"d".repeat(64)}`;
        return { Descriptor: { mediaType: "m", digest, size: 2 }, Document: "{}" };
      },
      writeManifest: async (reference, document, options) => {
        this.#log("writeManifest", reference, Buffer.from(document).toString(), options);
        return { Digest: `sha256:${"d".repeat(64)}` };
      },
    },
    volumes: {
      list: async () => ({ Volumes: [], Warnings: [] }),
      create: async (request) => {
        this.#log("volumeCreate", request);
        return this.#volume(request.Name ?? "anonymous");
      },
      inspect: async (name) => {
        if (name === "missing") throw notFound("get missing: no such volume");
        return this.#volume(name);
      },
      remove: async (name, options) => this.#log("volumeRemove", name, options),
      prune: async (filters) => {
        this.#log("volumePrune", filters);
        return { VolumesDeleted: null, SpaceReclaimed: 0 };
      },
    },
    networks: {
      list: async () => [this.#network()],
      create: async (request) => {
        this.#log("networkCreate", request);
        return { Id: "n".repeat(64), Warning: "" };
      },
      inspect: async (name) => {
        if (name === "missing") throw notFound("network missing not found");
        return this.#network();
      },
      remove: async (name) => this.#log("networkRemove", name),
      connect: async (network, container, settings) =>
        this.#log("networkConnect", network, container, settings),
      disconnect: async (network, container, options) =>
        this.#log("networkDisconnect", network, container, options),
      prune: async () => ({ NetworksDeleted: null }),
    },
    system: {
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
      events: (options, signal) => this.#events(options, signal),
      diskUsage: async (types, options) => {
        this.#log("diskUsage", types, options);
        return { ImageUsage: { TotalSize: 5, TotalCount: 1, Items: [{ Id: "i" }] } };
      },
      check: async (options) => {
        this.#log("check", options);
        return { Quick: options.quick, Checked: { Images: 1 }, Findings: [] };
      },
      login: async (credentials) => {
        this.#log("login", credentials);
        if (credentials.password === "wrong") {
          throw new TugError(
            "unauthorized",
            "Get https://registry/v2/: unauthorized: incorrect username or password",
          );
        }
        return { Status: "Login Succeeded" };
      },
      distribution: async (reference, auth) => {
        this.#log("distribution", reference, auth);
        return { Descriptor: {}, Platforms: [] };
      },
    },
  };

  #volume(name: string) {
    return {
      Name: name,
      Driver: "local",
      Mountpoint: `/v/${name}`,
      Scope: "local" as const,
      Labels: {},
      Options: {},
    };
  }

  #network() {
    return {
      Name: "bridge",
      Id: "n".repeat(64),
      Driver: "bridge",
      Scope: "local",
      EnableIPv4: true,
      Labels: {},
    };
  }

  async *#pull(reference: string, options: unknown): AsyncGenerator<ProgressMessage> {
    this.#log("pull", reference, options);
    if (reference.includes("missing")) {
      throw notFound(
        `pull access denied for ${reference}, repository does not exist or may require 'docker login'`,
      );
    }
    yield { status: "Pulling from library/busybox", id: "latest" };
    if (reference.startsWith("broken")) throw new TugError("data-loss", "layer digest mismatch");
    yield { status: "Download complete", progressDetail: {}, id: "abcdef" };
  }

  async *#push(reference: string, options: unknown): AsyncGenerator<ProgressMessage> {
    this.#log("push", reference, options);
    yield { status: "pushed" };
  }

  async *#bootstrap(request: unknown): AsyncGenerator<ProgressMessage> {
    this.#log("bootstrap", request);
    yield { status: "Retrieving", id: "release", progressDetail: {} };
  }

  async *#import(source: ReadableStream<Uint8Array>, options: unknown): AsyncGenerator<ProgressMessage> {
    this.#log("import", await new Response(source).text(), options);
    yield { status: `sha256:${"d".repeat(64)}` };
  }

  async *#load(tar: ReadableStream<Uint8Array>, options: unknown): AsyncGenerator<ProgressMessage> {
    const { byteLength } = await new Response(tar).arrayBuffer();
    this.#log("load", byteLength, options);
    if (byteLength < 512) throw new TugError("invalid-argument", "unexpected EOF");
    yield { stream: "Loaded image: busybox:latest\n" };
  }

  async *#events(options: unknown, signal: AbortSignal) {
    this.#log("events", options);
    const time = { time: 1_700_000_000, timeNano: 1_700_000_000_000_000_000, scope: "local" as const };
    yield { Type: "image", Action: "create", Actor: { ID: "sha256:a", Attributes: {} }, ...time };
    yield {
      Type: "container",
      Action: "start",
      Actor: { ID: "c1", Attributes: { image: "busybox", name: "x" } },
      ...time,
    };
    if ((options as { until?: bigint }).until !== undefined) return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    this.#log("events over");
  }
}
