import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { invalid, messageOf, TugError } from "../../../base/lib/errors.ts";

/** Nothing of the host's, of root's or of a repository's configuration counts but this. */
const configuration = `[core]
	hooksPath = /dev/null
	fsmonitor = false
[protocol]
	allow = never
[protocol "https"]
	allow = always
[protocol "http"]
	allow = always
[protocol "ssh"]
	allow = always
[protocol "git"]
	allow = always
[protocol "file"]
	allow = never
[safe]
	directory = *
[init]
	defaultBranch = master
	templateDir =
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
[credential]
	helper =
`;

export interface GitCommandDeps {
  /** A directory of its own below the data root. */
  readonly root: string;
}

/** What a remote is reached with. */
export interface GitAccess {
  /** Value of an "Authorization" header for the remote's host. */
  readonly authorization: { readonly scope: string; readonly value: string } | undefined;
  /** Path of an agent's socket. */
  readonly agent: string | undefined;
}

export interface GitRun {
  readonly signal: AbortSignal;
  readonly access?: GitAccess;
  /** Only for repositories that this program made itself. */
  readonly ownFiles?: boolean;
  /** What git says of its progress. */
  readonly onText?: (bytes: Uint8Array) => void;
}

/** The host's git program, run so that nothing of the repository's or the host's choosing is executed (CVE-2022-39253 and its kind). */
export class GitCommand {
  readonly #config: string;
  readonly #home: string;

  constructor(deps: GitCommandDeps) {
    this.#home = join(deps.root, "home");
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    this.#config = join(deps.root, "config");
    writeFileSync(this.#config, configuration, { mode: 0o600 });
  }

  /** Standard output; throws with what git complained about. */
  async run(args: readonly string[], options: GitRun): Promise<string> {
    const program = Bun.which("git");
    if (!program) {
      throw new TugError(
        "not-implemented",
        "git contexts need the git program, which this host does not have: install the package git",
      );
    }
    options.signal.throwIfAborted();
    // The work tree's modes shall not depend on the daemon's umask.
    const child = Bun.spawn(["/bin/sh", "-c", 'umask 022 && exec "$@"', "git", program, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      cwd: this.#home,
      env: this.#environment(options),
      // Its transports are processes of their own.
      detached: true,
    });
    const kill = () => killGroup(child.pid);
    options.signal.addEventListener("abort", kill, { once: true });
    try {
      const [out, complaint] = await Promise.all([
        child.stdout.text(),
        collect(child.stderr, options.onText),
        child.exited,
      ]);
      options.signal.throwIfAborted();
      if (child.exitCode !== 0) throw invalid(`git ${args[0] === "-C" ? args[2] : args[0]}: ${complaint}`);
      return out;
    } finally {
      options.signal.removeEventListener("abort", kill);
    }
  }

  #environment({ access, ownFiles }: GitRun): Record<string, string> {
    const pass = [
      "PATH",
      "http_proxy",
      "https_proxy",
      "no_proxy",
      "HTTP_PROXY",
      "HTTPS_PROXY",
      "NO_PROXY",
      "all_proxy",
      "ALL_PROXY",
      "SSL_CERT_FILE",
      "SSL_CERT_DIR",
    ];
    const inherited = pass.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    const knownHosts = join(this.#home, "known_hosts");
    return {
      ...Object.fromEntries(inherited),
      HOME: this.#home,
      LC_ALL: "C",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: this.#config,
      GIT_ATTR_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ASKPASS: "/bin/false",
      SSH_ASKPASS: "/bin/false",
      // Stronger than any configuration, and handed on to submodules.
      GIT_ALLOW_PROTOCOL: ownFiles ? "file" : "https:http:ssh:git",
      GIT_SSH_COMMAND: `ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="${knownHosts}" -o IdentityFile=none`,
      ...(access?.agent === undefined ? {} : { SSH_AUTH_SOCK: access.agent }),
      ...(access?.authorization === undefined
        ? {}
        : {
            GIT_CONFIG_COUNT: "1",
            GIT_CONFIG_KEY_0: `http.${access.authorization.scope}.extraheader`,
            GIT_CONFIG_VALUE_0: `Authorization: ${access.authorization.value}`,
          }),
    };
  }
}

/** The last lines of what a program says on standard error. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  onText: ((bytes: Uint8Array) => void) | undefined,
): Promise<string> {
  let tail = Buffer.alloc(0);
  for await (const chunk of stream) {
    onText?.(chunk);
    tail = Buffer.concat([tail, chunk]).subarray(-4096);
  }
  return tail.toString("utf8").trim();
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It ended in between.
    if (!messageOf(error).includes("ESRCH")) throw error;
  }
}
