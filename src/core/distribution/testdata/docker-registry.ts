import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Debian's docker-registry on a port of its own, with or without a password file. */
export class DockerRegistry implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #directory: string;
  readonly port: number;

  private constructor(child: Bun.Subprocess, directory: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.port = port;
  }

  /** Undefined, with the reason printed, where the program is not installed. */
  static async start(
    users: Readonly<Record<string, string>> = {},
    attempt = 1,
  ): Promise<DockerRegistry | undefined> {
    const program = Bun.which("docker-registry");
    if (!program) {
      console.log("skipped: docker-registry is not installed");
      return undefined;
    }
    const directory = mkdtempSync(join(tmpdir(), "tug-registry-"));
    const port = await freePort();
    const lines = Object.entries(users).map(
      ([name, password]) => `${name}:${Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })}\n`,
    );
    writeFileSync(join(directory, "users"), lines.join(""));
    const auth = lines.length > 0 ? { auth: { htpasswd: { realm: "test", path: join(directory, "users") } } } : {};
    const config = {
      version: "0.1",
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, "data") } },
      http: { addr: `127.0.0.1:${port}` },
      ...auth,
    };
    // YAML is a superset of JSON.
    writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
    const child = Bun.spawn([program, "serve", join(directory, "config.yml")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const registry = new DockerRegistry(child, directory, port);
    for (let tries = 0; tries < 500 && child.exitCode === null; tries++) {
      try {
        await fetch(`http://127.0.0.1:${port}/v2/`, { proxy: false as never });
        return registry;
      } catch {
        // It announces its start nowhere: asking is the only way to know.
        await Bun.sleep(10);
      }
    }
    await registry[Symbol.asyncDispose]();
    // Somebody else may have taken the port between our finding and its using it.
    if (attempt < 3) return await DockerRegistry.start(users, attempt + 1);
    throw new Error("docker-registry does not answer");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
