import { existsSync } from "node:fs";
import { messageOf } from "../../src/base/lib/errors.ts";
import { eventually } from "./daemon.ts";

/** Lines are edited by the terminal itself: a bit of c_lflag (termios(3)). */
const ICANON = 0o2;

/**
 * A program in a real pseudo-terminal, driven as a person would: type, resize, read the screen. Bun.spawn's `terminal`
 * option makes the pty.
 */
export class Terminal {
  readonly #child: Bun.Subprocess;
  readonly #terminal: Bun.Terminal;
  #text = "";
  #wake: () => void = () => undefined;

  private constructor(
    command: readonly string[],
    env: Record<string, string>,
    size: { rows: number; columns: number },
  ) {
    const decoder = new TextDecoder();
    const terminal = new Bun.Terminal({
      cols: size.columns,
      rows: size.rows,
      data: (_terminal, bytes) => {
        this.#text += decoder.decode(bytes, { stream: true });
        this.#wake();
      },
    });
    this.#terminal = terminal;
    // Without it being the controlling terminal of the program's session, no SIGWINCH and no SIGINT would reach it.
    this.#child = Bun.spawn(["/usr/bin/setsid", "--ctty", "--wait", ...command], {
      terminal,
      env: { ...process.env, TERM: "xterm", ...env },
    });
  }

  static async open(
    command: readonly string[],
    env: Record<string, string>,
    size: { rows: number; columns: number } = { rows: 24, columns: 80 },
  ): Promise<Terminal> {
    const program = command[0] ?? "";
    if (!existsSync(program)) throw new Error(`no such program: ${program}`);
    return new Terminal(command, env, size);
  }

  /** Everything the program printed so far, carriage returns removed. */
  get text(): string {
    return this.#text.replaceAll("\r", "");
  }

  /**
   * Resolves when the program has made the terminal raw. What is typed before belongs to the terminal: it shows the
   * keys itself, and Ctrl-D reaches the program as a NUL.
   */
  async raw(): Promise<void> {
    const raw = () => (this.#terminal.localFlags & ICANON) === 0;
    await eventually("the terminal is raw", raw).catch((error: unknown) => {
      throw new Error(`${messageOf(error)}; screen:\n${this.text}`, { cause: error });
    });
  }

  /** The program's exit code; rejects with the screen when it has not ended a minute after it is asked for. */
  get exited(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(() => reject(new Error(`never ended; screen:\n${this.text}`)), 60_000);
    this.#child.exited.then(resolve, reject).finally(() => clearTimeout(timer));
    return promise;
  }

  type(keys: string): void {
    this.#terminal.write(keys);
  }

  resize(size: { rows: number; columns: number }): void {
    this.#terminal.resize(size.columns, size.rows);
  }

  /** Resolves when `wanted` was printed; throws with the screen after the deadline. */
  async until(wanted: string, milliseconds = 30_000): Promise<void> {
    const deadline = performance.now() + milliseconds;
    while (!this.text.includes(wanted)) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`never printed ${JSON.stringify(wanted)}; screen:\n${this.text}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
        Bun.sleep(left),
      ]);
    }
  }

  close(): void {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    this.#terminal.close();
  }
}
