import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./daemon.ts";

/** What holds the names of ports that were given away: they end with this process, or with the test file. */
const given: Disposable[] = [];
const nothing = { data: () => undefined };

/**
 * A port nobody listens on at this moment, another one at each call, for somebody who is told which to take. It is none of those that the kernel and Tug choose from
 * (/proc/sys/net/ipv4/ip_local_port_range): until it is taken, and while who had it is down, no client, server or container beside gets it. Nor does a test file
 * beside: each port has a name among the abstract sockets, which one process has at a time (unix(7)); without Tug's own in it, for tests look that Tug has none there.
 */
export function freePort(): number {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    if (keep(`port-${port}`, [port])) return port;
  }
}

/** The first of so many ports in a row (at most 1100), kept and free in the same way; `freePort` gives none of them. */
export function freePorts(count: number): number {
  for (;;) {
    const first = 22_000 + 1100 * Math.floor(Math.random() * 9);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (keep(`ports-${first}`, ports)) return first;
  }
}

/** Keeps the name, unless somebody has it or listens on one of the ports. */
function keep(name: string, ports: readonly number[]): boolean {
  const kept = unlessInUse(() => Bun.listen({ unix: `\0test-${name}`, socket: nothing }));
  if (!kept) return false;
  kept.unref();
  for (const port of ports) {
    const listener = unlessInUse(() => Bun.listen({ hostname: "127.0.0.1", port, socket: nothing }));
    if (!listener) {
      kept.stop(true);
      return false;
    }
    listener.stop(true);
  }
  given.push(kept);
  return true;
}

function unlessInUse<T>(listen: () => T): T | undefined {
  try {
    return listen();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return undefined;
  }
}

/** Debian's docker-registry on loopback, with its storage in a folder of its own. */
export class TestRegistry {
  readonly address: string;
  readonly root: string;
  readonly #child: Bun.Subprocess;

  private constructor(address: string, root: string, child: Bun.Subprocess) {
    this.address = address;
    this.root = root;
    this.#child = child;
  }

  static missing(): string | undefined {
    if (!existsSync("/usr/bin/docker-registry"))
      return "docker-registry is not installed (Debian package docker-registry)";
    if (!existsSync("/usr/bin/skopeo")) return "skopeo is not installed (Debian package skopeo)";
    return undefined;
  }

  /** With `users`, it asks for basic authentication (name -> password). */
  static async start(
    options: { readonly users?: Readonly<Record<string, string>> } = {},
  ): Promise<TestRegistry> {
    const root = mkdtempSync("/tmp/tug-registry-");
    const port = freePort();
    mkdirSync(join(root, "data"));
    let auth = "";
    if (options.users) {
      const lines = await Promise.all(
        Object.entries(options.users).map(async ([name, password]) =>
          (await run(["htpasswd", "-Bbn", name, password])).stdout.trim(),
        ),
      );
      writeFileSync(join(root, "htpasswd"), `${lines.join("\n")}\n`);
      auth = `auth:\n  htpasswd:\n    realm: test\n    path: ${join(root, "htpasswd")}\n`;
    }
    writeFileSync(
      join(root, "config.yml"),
      `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${join(root, "data")}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:${port}\n${auth}`,
    );
    const child = Bun.spawn(["docker-registry", "serve", join(root, "config.yml")], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    const registry = new TestRegistry(`127.0.0.1:${port}`, root, child);
    for (const end = performance.now() + 30_000; ; ) {
      try {
        await fetch(`http://127.0.0.1:${port}/v2/`);
        return registry;
      } catch (error) {
        if (child.exitCode !== null || performance.now() > end) throw error;
        await Bun.sleep(10);
      }
    }
  }

  /** Copies an image into it with skopeo: from "docker-archive:/x.tar", "oci:/dir:tag", ... */
  async push(source: string, name: string, ...flags: string[]): Promise<void> {
    const result = await run([
      "skopeo",
      "copy",
      "--insecure-policy",
      "--dest-tls-verify=false",
      ...flags,
      source,
      `docker://${this.address}/${name}`,
    ]);
    if (result.code !== 0) throw new Error(`skopeo: ${result.stderr}`);
  }

  async close(): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.root, { recursive: true, force: true });
  }
}
