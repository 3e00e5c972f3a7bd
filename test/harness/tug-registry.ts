import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, run, tugBinary, within } from "./daemon.ts";
import { freePort } from "./registry.ts";

export interface TugRegistryOptions {
  readonly flags?: readonly string[];
  /** Written as the configuration file. */
  readonly config?: unknown;
  /** Name -> password, for an htpasswd file. */
  readonly users?: Readonly<Record<string, string>>;
  /** Serve HTTPS with a certificate of an authority of its own (`ca`). */
  readonly tls?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** The root is a file system of this size ("48m"). */
  readonly disk?: string;
  /** Run in the network namespace of this process; `request` cannot reach it there. */
  readonly networkOf?: number;
}

/**
 * `tug registry serve` on loopback, on a root of its own.
 *
 *     await using registry = await TugRegistry.start();
 *     await registry.request("GET", "/v2/");
 */
export class TugRegistry implements AsyncDisposable {
  readonly root: string;
  readonly address: string;
  readonly #options: TugRegistryOptions;
  #child: Bun.Subprocess<"ignore", "ignore", "pipe"> | undefined;
  log = "";

  private constructor(root: string, port: number, options: TugRegistryOptions) {
    this.root = root;
    this.address = `127.0.0.1:${port}`;
    this.#options = options;
  }

  static async start(options: TugRegistryOptions = {}): Promise<TugRegistry> {
    const registry = new TugRegistry(mkdtempSync("/tmp/tug-serve-"), freePort(), options);
    mkdirSync(registry.data);
    if (options.disk !== undefined) {
      const mounted = Bun.spawnSync([
        "mount",
        "-t",
        "tmpfs",
        "-o",
        `size=${options.disk},mode=700`,
        "tmpfs",
        registry.data,
      ]);
      if (!mounted.success) throw new Error(mounted.stderr.toString());
    }
    if (options.config !== undefined)
      writeFileSync(join(registry.root, "registry.yml"), JSON.stringify(options.config));
    if (options.users) {
      const lines = Object.entries(options.users).map(
        ([name, password]) =>
          `${name}:${Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })}\n`,
      );
      writeFileSync(join(registry.root, "htpasswd"), lines.join(""));
    }
    if (options.tls) registry.makeCertificate("first");
    try {
      await registry.up();
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  get url(): string {
    return `${this.#options.tls ? "https" : "http"}://${this.address}`;
  }

  /** Records and blobs. */
  get data(): string {
    return join(this.root, "data");
  }

  get pid(): number {
    if (!this.#child) throw new Error("the registry does not run");
    return this.#child.pid;
  }

  get ca(): string {
    return join(this.root, "server.crt");
  }

  /** A self-signed certificate for 127.0.0.1; the one before is replaced. */
  makeCertificate(name: string): void {
    const made = Bun.spawnSync(
      [
        ...[
          "openssl",
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:P-256",
          "-nodes",
          "-days",
          "2",
        ],
        ...["-keyout", join(this.root, "server.key"), "-out", this.ca, "-subj", `/CN=${name}`],
        ...["-addext", "subjectAltName=IP:127.0.0.1"],
      ],
      { stderr: "pipe" },
    );
    if (!made.success) throw new Error(made.stderr.toString());
  }

  async up(): Promise<void> {
    const { flags = [], config, users, tls, env, networkOf } = this.#options;
    const child = Bun.spawn(
      [
        ...(networkOf === undefined ? [] : ["nsenter", `--net=/proc/${networkOf}/ns/net`]),
        ...[tugBinary, "registry", "serve", "--root", this.data, "--listen", this.address],
        ...(config === undefined ? [] : ["--config", join(this.root, "registry.yml")]),
        ...(users ? ["--htpasswd", join(this.root, "htpasswd")] : []),
        ...(tls ? ["--tls-cert", this.ca, "--tls-key", join(this.root, "server.key")] : []),
        ...flags,
      ],
      { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } },
    );
    this.#child = child;
    let ready: () => void = () => undefined;
    const up = new Promise<void>((resolve) => {
      ready = resolve;
    });
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        this.log += decoder.decode(chunk, { stream: true });
        if (this.log.includes('"registry serves"')) ready();
      }
    })();
    this.log = "";
    const ended = child.exited.then((code) => {
      throw new Error(`the registry ended with ${code}:\n${this.log}`);
    });
    const late = () => `the registry does not serve:\n${this.log}`;
    await within(60_000, Promise.race([up, ended]), late);
  }

  /** SIGKILL, and wait until the process is gone. */
  async crash(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = undefined;
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number> {
    this.#child?.kill("SIGTERM");
    const code = (await this.#child?.exited) ?? 0;
    this.#child = undefined;
    return code;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** One request; nothing is followed. `user` is "name:password". */
  async request(
    method: string,
    path: string,
    options: {
      readonly body?: RequestInit["body"] | Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
      readonly user?: string;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<Response> {
    const authorization = options.user && `Basic ${Buffer.from(options.user).toString("base64")}`;
    return await fetch(path.startsWith("/") ? `${this.url}${path}` : path, {
      method,
      redirect: "manual",
      // One that waits for the next request may be that of a registry that has ended meanwhile.
      keepalive: false,
      headers: { ...options.headers, ...(authorization && { Authorization: authorization }) },
      ...(options.body !== undefined && { body: options.body as Exclude<RequestInit["body"], undefined> }),
      ...(options.signal && { signal: options.signal }),
      ...(this.#options.tls && { tls: { ca: readFileSync(this.ca, "utf8") } }),
    } as RequestInit);
  }

  /** Pushes a blob in one request and returns its digest. */
  async pushBlob(repository: string, bytes: Uint8Array | string, user?: string): Promise<string> {
    const digest = digestOf(bytes);
    const response = await this.request("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, {
      body: bytes,
      headers: { "Content-Type": "application/octet-stream" },
      ...(user !== undefined && { user }),
    });
    if (response.status !== 201)
      throw new Error(`push of a blob: ${response.status} ${await response.text()}`);
    return digest;
  }

  /** Pushes an OCI image of these layers under a tag or digest; returns the manifest's digest. */
  async pushImage(
    repository: string,
    reference: string | undefined,
    layers: readonly (Uint8Array | string)[],
    more: Readonly<Record<string, unknown>> = {},
    user?: string,
  ): Promise<string> {
    const config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}';
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: await this.#descriptor(repository, config, "application/vnd.oci.image.config.v1+json", user),
      layers: await Promise.all(
        layers.map((layer) =>
          this.#descriptor(repository, layer, "application/vnd.oci.image.layer.v1.tar+gzip", user),
        ),
      ),
      ...more,
    });
    const response = await this.request(
      "PUT",
      `/v2/${repository}/manifests/${reference ?? digestOf(manifest)}`,
      {
        body: manifest,
        headers: { "Content-Type": ociManifest },
        ...(user !== undefined && { user }),
      },
    );
    if (response.status !== 201)
      throw new Error(`push of a manifest: ${response.status} ${await response.text()}`);
    return digestOf(manifest);
  }

  async #descriptor(
    repository: string,
    bytes: Uint8Array | string,
    mediaType: string,
    user?: string,
  ): Promise<object> {
    return {
      mediaType,
      digest: await this.pushBlob(repository, bytes, user),
      size: Buffer.byteLength(bytes),
    };
  }

  /** Runs the compiled `tug registry …` on this root. */
  command(...args: readonly string[]): Promise<Result> {
    return run([tugBinary, "registry", ...args]);
  }

  residentBytes(): number {
    const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
    return Number(kb ?? 0) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const code = this.#child && this.#child.exitCode === null ? await this.stop() : 0;
    if (this.#options.disk !== undefined) Bun.spawnSync(["umount", this.data]);
    rmSync(this.root, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the registry ended with ${code}:\n${this.log}`);
  }
}

export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
