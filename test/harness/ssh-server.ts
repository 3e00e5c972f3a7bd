import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = "/usr/sbin/sshd";
/** Compiled into Debian's sshd; a boot script makes it, so it may not be there. */
const privilegeSeparation = "/run/sshd";

/** OpenSSH's server on a port of loopback that the kernel chose: one sshd for each connection (sshd(8), -i). Root logs in with `key`. */
export class SshServer implements AsyncDisposable {
  readonly port: number;
  /** The only private key that it lets in. */
  readonly key: string;
  readonly #root = mkdtempSync(join(tmpdir(), "tug-sshd-"));
  readonly #listener: Bun.TCPSocketListener<Connection>;
  readonly #running = new Set<Bun.Subprocess>();
  readonly #made: boolean;

  constructor() {
    this.key = join(this.#root, "user");
    keygen(this.key);
    this.#made = !existsSync(privilegeSeparation);
    if (this.#made) mkdirSync(privilegeSeparation, { mode: 0o755 });
    writeFileSync(join(this.#root, "keys"), readFileSync(`${this.key}.pub`));
    writeFileSync(
      join(this.#root, "config"),
      `HostKey ${this.#root}/host\nAuthorizedKeysFile ${this.#root}/keys\nUsePAM no\nStrictModes no
PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\nLogLevel QUIET\n`,
    );
    this.renewHostKey();
    this.#listener = Bun.listen<Connection>({ hostname: "127.0.0.1", port: 0, socket: this.#handlers() });
    this.port = this.#listener.port;
  }

  /** Why there can be none here; undefined when there can. */
  static missing(): string | undefined {
    return existsSync(program) ? undefined : "sshd is not installed (Debian package openssh-server)";
  }

  /** From now on it has another host key, as somebody in the middle would. */
  renewHostKey(): void {
    for (const name of ["host", "host.pub"]) rmSync(join(this.#root, name), { force: true });
    keygen(join(this.#root, "host"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.stop(true);
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all([...this.#running].map((child) => child.exited));
    rmSync(this.#root, { recursive: true, force: true });
    if (this.#made) rmdirSync(privilegeSeparation);
  }

  #handlers(): Bun.SocketHandler<Connection> {
    return {
      open: (socket) => {
        const child = Bun.spawn([program, "-i", "-f", join(this.#root, "config")], {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "ignore",
        });
        this.#running.add(child);
        socket.data = { stdin: child.stdin, waiting: undefined };
        void child.exited.then(() => this.#running.delete(child));
        void (async () => {
          for await (let chunk of child.stdout) {
            while (chunk.length > 0) {
              const sent = socket.write(chunk);
              if (sent < 0) return;
              chunk = chunk.subarray(sent);
              if (chunk.length > 0)
                await new Promise<void>((resolve) => {
                  socket.data.waiting = resolve;
                });
            }
          }
          // Not when it has exited: what it said last may not have been read by then.
          socket.end();
        })();
      },
      data: (socket, bytes) => {
        socket.data.stdin.write(bytes);
        void socket.data.stdin.flush();
      },
      drain: (socket) => socket.data.waiting?.(),
      close: (socket) => {
        socket.data.waiting?.();
        void socket.data.stdin.end();
      },
      error: (_socket, error) => console.error(error),
    };
  }
}

interface Connection {
  readonly stdin: Bun.FileSink;
  waiting: (() => void) | undefined;
}

function keygen(path: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]);
  if (exitCode !== 0) throw new Error(`ssh-keygen: ${stderr.toString()}`);
}
