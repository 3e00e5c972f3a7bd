import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
  static async start(users: Readonly<Record<string, string>> = {}): Promise<DockerRegistry | undefined> {
    const program = Bun.which("docker-registry");
    if (!program) {
      console.log("skipped: docker-registry is not installed");
      return undefined;
    }
    const directory = mkdtempSync(join(tmpdir(), "tug-registry-"));
    const lines = Object.entries(users).map(
      ([name, password]) => `${name}:${Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })}\n`,
    );
    writeFileSync(join(directory, "users"), lines.join(""));
    const auth = lines.length > 0 ? { auth: { htpasswd: { realm: "test", path: join(directory, "users") } } } : {};
    const config = {
      version: "0.1",
      log: { level: "info", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, "data") } },
      // The kernel chooses: a port that was looked up before may be somebody else's by the time it is taken.
      http: { addr: "127.0.0.1:0" },
      ...auth,
    };
    // YAML is a superset of JSON.
    writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
    const child = Bun.spawn([program, "serve", join(directory, "config.yml")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const port = await listeningPort(child.stderr);
    const registry = new DockerRegistry(child, directory, typeof port === "number" ? port : 0);
    if (typeof port === "number") return registry;
    await registry[Symbol.asyncDispose]();
    throw new Error(`docker-registry does not listen: ${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The port that the log tells of, once it listens there, or all of a log that does not. What comes after is read and dropped. */
function listeningPort(log: ReadableStream<Uint8Array>): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  void (async () => {
    let said = "";
    let found = false;
    for await (const bytes of log) {
      if (found) continue;
      said += Buffer.from(bytes).toString();
      const port = /msg="listening on [\d.]+:(\d+)"/.exec(said)?.[1];
      found = port !== undefined;
      if (found) resolve(Number(port));
    }
    resolve(said);
  })();
  return promise;
}
