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
  readonly #knownHosts: string;

  constructor(deps: GitCommandDeps) {
    this.#home = join(deps.root, "home");
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    this.#knownHosts = join(this.#home, "known_hosts");
    this.#config = join(deps.root, "config");
    writeFileSync(this.#config, configuration, { mode: 0o600 });
  }

  /** Standard output; throws with what git complained about. */
  async run(args: readonly string[], options: GitRun): Promise<string> {
    const { access } = options;
    if (!access?.authorization) return await this.#run(args, options, "none");
    try {
      return await this.#run(args, options, "header");
    } catch (error) {
      options.signal.throwIfAborted();
      if (!redirected.test(messageOf(error))) throw error;
      return await this.#run(args, options, "challenge");
    }
  }

  async #run(args: readonly string[], options: GitRun, shows: ShowsSecret): Promise<string> {
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
      env: this.#environment(options, shows),
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
      if (child.exitCode !== 0)
        throw invalid(`git ${commandOf(args)}: ${complaint}${wayOut(complaint, options)}`);
      return out;
    } finally {
      options.signal.removeEventListener("abort", kill);
    }
  }

  #environment({ access, ownFiles }: GitRun, shows: ShowsSecret): Record<string, string> {
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
    const shown = access?.authorization ? showing(access.authorization, shows) : { config: [], env: {} };
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
      GIT_SSH_COMMAND: `ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="${this.#knownHosts}" -o IdentityFile=none`,
      ...(access?.agent === undefined ? {} : { SSH_AUTH_SOCK: access.agent }),
      GIT_PROXY_COMMAND: "",
      ...configured([...forced, ...shown.config]),
      ...shown.env,
    };
  }
}

/**
 * How a server gets to see a secret. With every request, as BuildKit does it; but a header that git was told to send follows a redirect to
 * whichever host it names, so then none is followed. Where there are some, the secret is a password that only its own host may ask for.
 */
type ShowsSecret = "none" | "header" | "challenge";

const redirected = /requested URL returned error: 30[12378]\b/;

function showing(
  { scope, value }: NonNullable<GitAccess["authorization"]>,
  shows: ShowsSecret,
): { readonly config: readonly Setting[]; readonly env: Readonly<Record<string, string>> } {
  const basic = /^basic ([A-Za-z0-9+/=]+)$/i.exec(value)?.[1];
  if (shows === "header" || basic === undefined)
    return {
      config: [
        [`http.${scope}.extraheader`, `Authorization: ${value}`],
        ["http.followRedirects", "false"],
      ],
      env: {},
    };
  const [, user = "", password = ""] = /^([^:]*):(.*)$/s.exec(Buffer.from(basic, "base64").toString()) ?? [];
  const helper = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$TUG_USER" "$TUG_PASSWORD"; }; f`;
  return {
    config: [[`credential.${scope.replace(/\/$/, "")}.helper`, helper]],
    env: { TUG_USER: user, TUG_PASSWORD: password },
  };
}

/** Configuration that counts more than any file's (git-config(1), GIT_CONFIG_COUNT). */
function configured(pairs: readonly Setting[]): Record<string, string> {
  return Object.fromEntries([
    ["GIT_CONFIG_COUNT", String(pairs.length)],
    ...pairs.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}

/** "fetch" of `-C directory fetch …` and `--git-dir directory fetch …`. */
function commandOf([first, , third]: readonly string[]): string {
  return (first === "-C" || first === "--git-dir" ? third : first) ?? "";
}

type Setting = readonly [key: string, value: string];

/** Once more where no configuration of a repository's counts: git has had holes through which commits wrote some (CVE-2025-48384). */
const forced: readonly Setting[] = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.alternateRefsCommand", "true"],
  ["credential.helper", ""],
];

/** What whoever builds can do about it. */
function wayOut(complaint: string, { access }: GitRun): string {
  if (redirected.test(complaint))
    return "\nthe server redirects, which the secret GIT_AUTH_HEADER does not follow: name the address that it redirects to";
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/.test(complaint))
    return "\nif the server has a new key, whoever runs the daemon takes the old one out of that file, or pins keys in /etc/ssh/ssh_known_hosts";
  if (/Permission denied \(publickey/.test(complaint) && access?.agent === undefined)
    return "\nthe build was given no SSH agent: tug build --ssh default";
  return "";
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
