import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { type Instance, leftoversOfContainers, leftoversOfDaemon, removeLeftovers } from "./leftovers.ts";

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Milliseconds before the command is killed; a hang is a failure, not a wait. */
  readonly timeout?: number;
  /** Kills the command, which then fails. */
  readonly signal?: AbortSignal;
}

export const tugBinary = process.env["TUG_BINARY"] ?? resolve(import.meta.dir, "../../dist/tug");
const repository = resolve(import.meta.dir, "../..");

/** Runs a command to its end and captures it. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Result> {
  options.signal?.throwIfAborted();
  const input = typeof options.input === "string" ? Buffer.from(options.input) : options.input;
  const child = Bun.spawn([...command], {
    stdin: input ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  let expired = false;
  const { promise: held, reject } = Promise.withResolvers<never>();
  held.catch(() => undefined); // only who still waits wants to know
  const said = `timed out: ${command.join(" ")}`;
  let timer = setTimeout(() => {
    expired = true;
    child.kill("SIGKILL");
    timer = setTimeout(() => reject(new Error(`${said}\nand what it started holds its output`)), 10_000);
  }, options.timeout ?? 30_000);
  const [stdout, stderr, code] = await Promise.race([
    Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]),
    held,
  ]);
  clearTimeout(timer);
  if (expired) throw new Error(`${said}\nstdout: ${stdout}\nstderr: ${stderr}`);
  return { code, stdout, stderr };
}

/**
 * A `tug daemon` of the test's own: its roots, socket, instance name and addresses are shared with nobody, so that test
 * files run side by side.
 *
 *     const daemon = await TestDaemon.start();
 *     afterEach(() => daemon.assertClean());
 *     afterAll(() => daemon.close());
 */
export class TestDaemon {
  readonly root: string;
  readonly socket: string;
  readonly host: string;
  readonly #flags: readonly string[];
  readonly #launcher: readonly string[];
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
  #log = "";
  #baselineFds = 0;

  private constructor(root: string, flags: readonly string[], launcher: readonly string[]) {
    this.root = root;
    this.socket = join(root, "tug.sock");
    this.host = `unix://${this.socket}`;
    this.#flags = flags;
    this.#launcher = launcher;
  }

  /** Starts one with a busybox image in it, unless told otherwise. */
  static async start(
    options: {
      readonly flags?: readonly string[];
      readonly busybox?: boolean;
      /** daemon.json. */
      readonly config?: object;
      readonly root?: string;
      /** A command that ends in executing its arguments, which start the daemon. */
      readonly launcher?: readonly string[];
    } = {},
  ): Promise<TestDaemon> {
    const root = options.root ?? mkdtempSync("/tmp/tug-e2e-");
    const daemon = new TestDaemon(root, options.flags ?? [], options.launcher ?? []);
    if (options.config) writeFileSync(join(root, "daemon.json"), JSON.stringify(options.config));
    try {
      await daemon.up();
      if (options.busybox !== false) await daemon.importBusybox();
      daemon.#baselineFds = daemon.fdCount();
    } catch (error) {
      await daemon.close().catch(() => undefined);
      throw error;
    }
    return daemon;
  }

  get dataRoot(): string {
    return join(this.root, "data");
  }

  get execRoot(): string {
    return join(this.root, "exec");
  }

  /** Name in the host's global spaces, as docs/architecture.md defines it. */
  get instance(): string {
    return `tug-${createHash("sha256").update(this.dataRoot).digest("hex").slice(0, 8)}`;
  }

  get pid(): number {
    if (!this.#child) throw new Error("the daemon does not run");
    return this.#child.pid;
  }

  /** Everything the daemon printed so far. */
  get log(): string {
    return this.#log;
  }

  /** Starts the process and resolves when it answers on its socket. */
  async up(): Promise<void> {
    mkdirSync(this.root, { recursive: true });
    // One that is named must exist, as for dockerd.
    const configFile = join(this.root, "daemon.json");
    if (!existsSync(configFile)) writeFileSync(configFile, "{}");
    const child = Bun.spawn(
      [
        ...this.#launcher,
        tugBinary,
        "daemon",
        "--data-root",
        this.dataRoot,
        "--exec-root",
        this.execRoot,
        "--pidfile",
        join(this.root, "pid"),
        "--config-file",
        configFile,
        "-H",
        this.host,
        ...this.#flags,
      ],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, DOCKER_HOST: "", TUG_HOST: "" },
      },
    );
    this.#child = child;
    const collect = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) this.#log += decoder.decode(chunk, { stream: true });
    };
    void collect(child.stdout);
    void collect(child.stderr);
    const deadline = performance.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${this.#log}`);
      if (existsSync(this.socket) && (await this.ping())) return;
      if (performance.now() > deadline) throw new Error(`the daemon does not answer:\n${this.#log}`);
      await Bun.sleep(10);
    }
  }

  async ping(): Promise<boolean> {
    try {
      const signal = AbortSignal.timeout(2000);
      return (await fetch("http://tug/_ping", { unix: this.socket, keepalive: false, signal })).ok;
    } catch {
      return false; // not listening yet, or no more
    }
  }

  /** SIGKILL, and wait until the process is gone. */
  async crash(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = undefined;
  }

  /** What a power cut leaves: the daemon and all its processes, mounts and interfaces are gone, and with them what is not on disk. */
  async powerCut(): Promise<void> {
    await this.crash();
    await removeLeftovers(this.#known);
    rmSync(this.execRoot, { recursive: true, force: true });
  }

  /** SIGTERM, and wait for the clean end; returns the exit code. One that does not end is killed, and fails with what it said. */
  async stop(): Promise<number> {
    if (!this.#child) return 0;
    this.#child.kill("SIGTERM");
    const late = () => `the daemon did not end within a minute:\n${this.#log.slice(-3000)}`;
    try {
      return await within(60_000, this.#child.exited, late);
    } finally {
      await this.crash();
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.up();
  }

  async importBusybox(name = "busybox"): Promise<void> {
    const tar = Bun.spawnSync([join(repository, "scripts/busybox-image.sh")]).stdout;
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const result = await this.tug(
      ["import", "--change", 'CMD ["sh"]', "--change", `ENV ${path}`, "-", name],
      { input: tar },
    );
    if (result.code !== 0) throw new Error(`import failed: ${result.stderr}\n${this.#log}`);
  }

  /** Runs the compiled `tug` against this daemon. */
  tug(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return run([tugBinary, ...args], { ...options, env: { DOCKER_HOST: this.host, ...options.env } });
  }

  /** Like `tug`, but a non-zero exit is an error with everything said. Returns standard output without its last newline. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.tug(args, options);
    if (result.code !== 0) {
      throw new Error(
        `tug ${args.join(" ")}: exit ${result.code}\n${result.stderr}\n--- daemon\n${this.#log.slice(-3000)}`,
      );
    }
    return result.stdout.replace(/\n$/, "");
  }

  /** One API call; the body is sent as JSON. */
  async api(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const asked = fetch(`http://tug${path}`, {
      unix: this.socket,
      method,
      // A connection that waits for the next call is a descriptor of the daemon's, which `assertClean` counts.
      keepalive: false,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const answer = asked.then(async (response) => ({ status: response.status, text: await response.text() }));
    const late = () => `${method} ${path} has no whole answer\n--- daemon\n${this.#log.slice(-3000)}`;
    const { status, text } = await within(100_000, answer, late);
    let parsed: unknown = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // not JSON: hand the text on
    }
    return { status, body: parsed };
  }

  fdCount(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Resident bytes of the daemon process. */
  residentBytes(): number {
    const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
    return Number(kb ?? 0) * 1024;
  }

  /** Removes all containers, volumes and user networks, then asserts that nothing of them is left anywhere. */
  async assertClean(): Promise<void> {
    const ids = (await this.ok(["ps", "-aq", "--no-trunc"])).split("\n").filter(Boolean);
    if (ids.length > 0) await this.#removeContainers(ids);
    const networks = (await this.ok(["network", "ls", "-q", "--filter", "type=custom"]))
      .split("\n")
      .filter(Boolean);
    if (networks.length > 0) await this.ok(["network", "rm", ...networks]);
    const volumes = (await this.ok(["volume", "ls", "-q"])).split("\n").filter(Boolean);
    if (volumes.length > 0) await this.ok(["volume", "rm", ...volumes]);
    let left = this.#left();
    // The kernel drops cgroups and veth ends asynchronously after the last process of a container is gone, and the builder keeps the network of a
    // step for 5 s, for the next step.
    for (const end = performance.now() + 30_000; left.length > 0 && performance.now() < end; ) {
      await Bun.sleep(20);
      left = this.#left();
    }
    if (left.length > 0)
      throw new Error(`left behind:\n  ${left.join("\n  ")}\n--- daemon\n${this.#log.slice(-3000)}`);
  }

  async #removeContainers(ids: readonly string[]): Promise<void> {
    const { code, stderr } = await this.tug(["rm", "-f", "-v", ...ids]);
    if (code === 0) return;
    // One with --rm may be on its way out by itself.
    if (!/removal of container \S+ is already in progress/.test(stderr))
      throw new Error(`tug rm -f -v: exit ${code}\n${stderr}\n--- daemon\n${this.#log.slice(-3000)}`);
    const gone = async () => (await this.ok(["ps", "-aq"])) === "";
    await eventually("containers that are being removed are gone", gone, 30_000);
  }

  #left(): string[] {
    const left = leftoversOfContainers(this.#known);
    if (this.#child && this.#baselineFds > 0 && this.fdCount() > this.#baselineFds + 12) {
      left.push(`${this.fdCount()} fds open, ${this.#baselineFds} at the start`);
    }
    return left;
  }

  get #known(): Instance {
    const name = this.instance;
    return {
      root: this.root,
      state: [this.dataRoot, this.execRoot],
      name,
      bridge: `tug${name.slice(4)}`,
    };
  }

  /**
   * Ends the daemon and asserts that nothing of this instance is left on the machine; removes its root. When something is, it is
   * removed all the same before this fails: one failure must not be the next test's as well.
   */
  async close(): Promise<void> {
    const problems: unknown[] = [];
    const attempt = (step: () => Promise<void>) => step().catch((error: unknown) => problems.push(error));
    if (this.#child && this.#child.exitCode === null) {
      await attempt(() => this.assertClean());
      await attempt(async () => {
        const code = await this.stop();
        if (code !== 0) throw new Error(`the daemon ended with ${code}:\n${this.#log.slice(-3000)}`);
      });
    }
    await attempt(async () => {
      const look = () => [...this.#left(), ...leftoversOfDaemon(this.#known)];
      let left = look();
      // What the daemon let go of at its end the kernel takes down a moment later, too.
      for (const end = performance.now() + 30_000; left.length > 0 && performance.now() < end; ) {
        await Bun.sleep(20);
        left = look();
      }
      if (left.length > 0) throw new Error(`left behind after the daemon:\n  ${left.join("\n  ")}`);
    });
    if (this.#child) await this.crash();
    if (problems.length > 0) await removeLeftovers(this.#known);
    rmSync(this.root, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(problems.map(String).join("\n"), { cause: problems[0] });
  }

  /**
   * The same for one that has built, without waiting for what it keeps for the next step for some seconds (helpers, networks): its end does
   * not wait for that.
   */
  async stopAndClose(): Promise<void> {
    const code = await this.stop().finally(() => this.close());
    if (code !== 0) throw new Error(`the daemon ended with ${code}:\n${this.#log.slice(-3000)}`);
  }
}

/** Waits until `condition` holds, looking every few milliseconds; throws with `what` after the deadline. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  milliseconds = 30_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not happen in ${milliseconds} ms: ${what}`);
    await Bun.sleep(10);
  }
}

/** What `promise` gives; what `late` says is thrown when that takes longer. */
export async function within<T>(milliseconds: number, promise: Promise<T>, late: () => string): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(late())), milliseconds);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
