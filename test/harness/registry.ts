import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./daemon.ts";

/** A port nobody listens on at this moment. */
export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
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
    for (const end = performance.now() + 10_000; ; ) {
      try {
        await fetch(`http://127.0.0.1:${port}/v2/`);
        return registry;
      } catch (error) {
        if (performance.now() > end) throw error;
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
