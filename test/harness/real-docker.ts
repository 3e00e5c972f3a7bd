import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Result, type RunOptions, run } from "./daemon.ts";

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

  static async start(options: { readonly root?: string } = {}): Promise<RealDocker> {
    const root = options.root ?? mkdtempSync("/tmp/tug-real-docker-");
    mkdirSync(root, { recursive: true });
    const parent = `real-docker-${process.pid}`;
    const dockerd = [
      "exec dockerd",
      `--data-root ${root}/data --exec-root ${root}/exec --pidfile ${root}/pid`,
      `-H unix://${root}/docker.sock --cgroup-parent /${parent} --insecure-registry 127.0.0.0/8`,
    ].join(" ");
    const child = Bun.spawn(
      [
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
    const deadline = performance.now() + 30_000;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`dockerd ended with ${child.exitCode}:\n${docker.#log}`);
      if (await docker.#ping()) break;
      if (performance.now() > deadline) throw new Error(`dockerd does not answer:\n${docker.#log}`);
      await Bun.sleep(50);
    }
    const tar = Bun.spawnSync([resolve(import.meta.dir, "../../scripts/busybox-image.sh")]).stdout;
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    await docker.ok(["import", "--change", 'CMD ["sh"]', "--change", `ENV ${path}`, "-", "busybox"], {
      input: tar,
    });
    return docker;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #ping(): Promise<boolean> {
    try {
      const unix = join(this.root, "docker.sock");
      return (await fetch("http://docker/_ping", { unix, signal: AbortSignal.timeout(2000) })).ok;
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
    const removeAll = async (list: readonly string[], remove: readonly string[]) => {
      const found = (await this.ok(list)).split("\n").filter(Boolean);
      if (found.length > 0) await this.ok([...remove, ...found]);
    };
    await removeAll(["ps", "-aq"], ["rm", "-f", "-v"]);
    await removeAll(["network", "ls", "-q", "--filter", "type=custom"], ["network", "rm"]);
    await removeAll(["volume", "ls", "-q"], ["volume", "rm"]);
  }

  async close(): Promise<void> {
    await this.clean();
    this.#child.kill("SIGTERM");
    await this.#child.exited;
    for (const controller of readdirSync("/sys/fs/cgroup")) {
      const path = join("/sys/fs/cgroup", controller, this.#parent);
      if (existsSync(path)) rmdirSync(path);
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}
