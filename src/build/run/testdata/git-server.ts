import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Repositories served on loopback as git's own HTTP server has it (git-http-backend(1)), and what makes them. */
export class GitServer implements AsyncDisposable {
  readonly root: string;
  readonly url: string;
  /** Headers "authorization" of the requests. */
  readonly authorizations: (string | null)[] = [];
  /** Answered with 401 unless a request has this header. */
  secret: string | undefined;
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), "tug-git-"));
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#serve(request) });
    this.url = this.#server.url.origin;
  }

  /** Why there can be none here; undefined when there can. */
  static missing(): string | undefined {
    return Bun.which("git") ? undefined : "git is not installed (Debian package git)";
  }

  /** A work tree whose repository is served as `<url>/<name>/.git`; `<url>/moved/…` redirects there. */
  repository(name: string, ...format: readonly string[]): Repository {
    const path = join(this.root, name);
    mkdirSync(path);
    const repository = new Repository(path, `${this.url}/${name}/.git`);
    repository.git("init", "--quiet", "--initial-branch=main", ...format);
    repository.git("config", "uploadpack.allowReachableSHA1InWant", "true");
    return repository;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    rmSync(this.root, { recursive: true, force: true });
  }

  async #serve(request: Request): Promise<Response> {
    const moved = /^\/moved(\/.*)$/.exec(request.url.slice(this.url.length))?.[1];
    if (moved !== undefined) return Response.redirect(`${this.url}${moved}`, 301);
    const authorization = request.headers.get("authorization");
    this.authorizations.push(authorization);
    if (this.secret !== undefined && authorization !== this.secret)
      return new Response("no", { status: 401, headers: { "www-authenticate": "Basic" } });
    const { pathname, search } = new URL(request.url);
    const child = Bun.spawn(["git", "http-backend"], {
      stdin: new Uint8Array(await request.arrayBuffer()),
      stdout: "pipe",
      stderr: "ignore",
      env: {
        PATH: process.env["PATH"] ?? "",
        GIT_PROJECT_ROOT: this.root,
        GIT_HTTP_EXPORT_ALL: "1",
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: "safe.directory",
        GIT_CONFIG_VALUE_0: "*",
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers.get("content-type") ?? "",
        HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
        GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
        REMOTE_ADDR: "127.0.0.1",
      },
    });
    const answer = Buffer.from(await child.stdout.bytes());
    const end = answer.indexOf("\r\n\r\n");
    const headers = new Headers();
    for (const line of answer.toString("latin1", 0, end).split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/s);
      headers.append(name, value);
    }
    const status = Number.parseInt(headers.get("status") ?? "200", 10);
    headers.delete("status");
    return new Response(answer.subarray(end + 4), { status, headers });
  }
}

export class Repository {
  readonly path: string;
  readonly url: string;

  constructor(path: string, url: string) {
    this.path = path;
    this.url = url;
  }

  git(...args: readonly string[]): string {
    const who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"];
    const { exitCode, stdout, stderr } = Bun.spawnSync(["git", "-C", this.path, ...who, ...args], {
      env: { PATH: process.env["PATH"] ?? "", HOME: dirname(this.path), GIT_CONFIG_NOSYSTEM: "1" },
    });
    if (exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${stderr.toString()}`);
    return stdout.toString().trim();
  }

  /** Everything that lies there as a commit; its id. */
  commit(message = "more"): string {
    this.git("add", "--all");
    this.git("commit", "--quiet", "--allow-empty", "-m", message);
    return this.git("rev-parse", "HEAD");
  }
}
