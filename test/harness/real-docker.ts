import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually, type Result, type RunOptions, run, within } from "./daemon.ts";
import { removeCgroups } from "./leftovers.ts";
import { processes } from "./machine.ts";

/**
 * Debian's dockerd, the judge of how Docker behaves: in network and mount namespaces of its own, so that its bridge, its
 * iptables rules and its mounts never touch the host and end with it.
 */
export class RealDocker {
  readonly root: string;
  readonly host: string;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #parent: string;
  #log = "";

  private constructor(root: string, parent: string, child: Bun.Subprocess<"ignore", "pipe", "pipe">) {
    this.root = root;
    this.host = `unix://${join(root, "docker.sock")}`;
    this.#parent = parent;
    this.#child = child;
    const collect = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream)
        this.#log = (this.#log + decoder.decode(chunk, { stream: true })).slice(-20_000);
    };
    void collect(child.stdout);
    void collect(child.stderr);
  }

  /** Why it cannot run here, or undefined. */
  static missing(): string | undefined {
    if (!existsSync("/usr/sbin/dockerd")) return "dockerd is not installed (Debian package docker.io)";
    if (!existsSync("/usr/bin/docker")) return "the docker CLI is not installed (Debian package docker.io)";
    return undefined;
  }

  static async start(
    options: {
      readonly root?: string;
      readonly flags?: readonly string[];
      /** A command that ends in executing its arguments, which start dockerd. */
      readonly launcher?: readonly string[];
    } = {},
  ): Promise<RealDocker> {
    const root = options.root ?? mkdtempSync("/tmp/tug-real-docker-");
    mkdirSync(root, { recursive: true });
    const parent = `real-docker-${process.pid}`;
    const dockerd = [
      "exec dockerd",
      `--data-root ${root}/data --exec-root ${root}/exec --pidfile ${root}/pid`,
      `-H unix://${root}/docker.sock --cgroup-parent /${parent} --insecure-registry 127.0.0.0/8`,
      ...(options.flags ?? []),
    ].join(" ");
    const child = Bun.spawn(
      [
        ...(options.launcher ?? []),
        "unshare",
        "--net",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        `ip link set lo up && ${dockerd}`,
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    const docker = new RealDocker(root, parent, child);
    try {
      await docker.#answers();
      const tar = Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
      const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
      await docker.ok(["import", "--change", 'CMD ["sh"]', "--change", `ENV ${path}`, "-", "busybox"], {
        input: tar,
      });
      return docker;
    } catch (error) {
      await docker.#end();
      throw error;
    }
  }

  /** Resolves when it answers on its socket. */
  async #answers(): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const code = this.#child.exitCode;
      if (code !== null) throw new Error(`dockerd ended with ${code}:\n${this.#log}`);
      if (await this.#ping()) return;
      if (performance.now() > deadline) throw new Error(`dockerd does not answer:\n${this.#log}`);
      await Bun.sleep(50);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #ping(): Promise<boolean> {
    try {
      const unix = join(this.root, "docker.sock");
      const signal = AbortSignal.timeout(2000);
      return (await fetch("http://docker/_ping", { unix, keepalive: false, signal })).ok;
    } catch {
      return false; // not listening yet
    }
  }

  docker(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run(["/usr/bin/docker", ...args], { ...options, env: { DOCKER_HOST: this.host, ...options.env } });
  }

  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.docker(args, options);
    if (result.code !== 0) throw new Error(`docker ${args.join(" ")}: exit ${result.code}\n${result.stderr}`);
    return result.stdout.replace(/\n$/, "");
  }

  /** Removes what a test made, but images. */
  async clean(): Promise<void> {
    const custom = encodeURIComponent(JSON.stringify({ type: ["custom"] }));
    for (const { Id } of await this.#list<{ Id: string }>("/containers/json?all=1"))
      await this.#remove(`/containers/${Id}?force=1&v=1`);
    for (const { Id } of await this.#list<{ Id: string }>(`/networks?filters=${custom}`))
      await this.#remove(`/networks/${Id}`);
    const volumes = (await this.#list<{ Volumes: readonly { Name: string }[] | null }>("/volumes"))[0];
    for (const { Name } of volumes?.Volumes ?? []) await this.#remove(`/volumes/${Name}`);
  }

  async #list<T>(path: string): Promise<readonly T[]> {
    const response = await this.#request("GET", path);
    const body: unknown = await response.json();
    return (Array.isArray(body) ? body : [body]) as T[];
  }

  /** One that is on its way out by itself (--rm), or that dockerd finds busy for a moment, goes at a later attempt. */
  async #remove(path: string): Promise<void> {
    let said = "";
    const gone = async () => {
      const response = await this.#request("DELETE", path);
      said = `${response.status} ${await response.text()}`;
      return response.ok || response.status === 404;
    };
    await eventually(`dockerd removes ${path}`, gone).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${said}`, { cause: error });
    });
  }

  #request(method: string, path: string): Promise<Response> {
    const unix = join(this.root, "docker.sock");
    const signal = AbortSignal.timeout(60_000);
    return fetch(`http://docker/v1.41${path}`, { unix, method, keepalive: false, signal });
  }

  /** Ends it and takes away what it had on the machine, also when it was not in order any more. */
  async close(): Promise<void> {
    try {
      await this.clean();
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    this.#child.kill("SIGTERM");
    // It gives its containers 15 seconds, and its containerd as long again.
    const late = () => `dockerd did not end within a minute:\n${this.#log.slice(-3000)}`;
    await within(60_000, this.#child.exited, late).catch((error: unknown) => {
      this.#child.kill("SIGKILL");
      throw error;
    });
    const cgroups = readdirSync("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name, this.#parent));
    // With those below them: BuildKit leaves one. One whose last process is not quite gone is busy.
    const gone = () => {
      for (const path of cgroups) if (existsSync(path)) removeCgroups(path);
      return !cgroups.some((path) => existsSync(path));
    };
    await eventually("dockerd's cgroups are gone", gone, 30_000);
    // Its monitors' namespaces, and with them its mounts, end with the last of them.
    const alone = () => !processes().some((one) => one.command.includes(`${this.root}/`));
    await eventually("dockerd's processes are gone", alone, 30_000);
    rmSync(this.root, { recursive: true, force: true });
  }
}
