import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, type RunOptions, run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { TestRegistry } from "../harness/registry.ts";
import { Terminal } from "../harness/terminal.ts";

const docker = "/usr/local/bin/docker";
const missing = existsSync(docker) ? TestRegistry.missing() : `${docker} is not installed`;
if (missing) console.log(`skipped: login as docker's client has it: ${missing}`);

/** A credential helper (docker-credential-helpers' protocol) that keeps secrets in a file and writes down what it was asked. */
const helper = `#!/bin/sh
read -r server || true
dir="$HELPER_DIR"
echo "$1" >> "$dir/calls"
case "$1" in
get)
  [ -f "$dir/secret" ] || { echo "credentials not found in native keychain"; exit 1; }
  cat "$dir/secret" ;;
store) echo "$server" > "$dir/secret" ;;
erase) rm -f "$dir/secret" ;;
list) echo '{}' ;;
esac
`;

describe.skipIf(missing !== undefined)("login as docker's client has it", () => {
  let daemon: TestDaemon;
  let registry: TestRegistry;
  const clients = [
    ["docker", docker],
    ["tug", tugBinary],
  ] as const;
  const folder = (client: string) => join(daemon.root, "config", client);
  const config = (client: string) => join(folder(client), "config.json");

  beforeAll(async () => {
    [daemon, registry] = await Promise.all([
      TestDaemon.start(),
      TestRegistry.start({ users: { alice: "s3cret" } }),
    ]);
    mkdirSync(join(daemon.root, "bin"));
    const helpers = {
      kept: helper,
      broken: "#!/bin/sh\necho no keychain here\nexit 1\n",
      rubbish: "#!/bin/sh\necho rubbish\n",
    };
    for (const [name, script] of Object.entries(helpers))
      writeFileSync(join(daemon.root, "bin", `docker-credential-${name}`), script, { mode: 0o755 });
  }, 180_000);
  afterAll(async () => {
    await Promise.all([daemon.close(), registry.close()]);
  });

  const environment = (client: string) => ({
    DOCKER_CONFIG: folder(client),
    DOCKER_HOST: daemon.host,
    HELPER_DIR: folder(client),
    PATH: `${join(daemon.root, "bin")}:${process.env["PATH"] ?? ""}`,
  });
  /** What tug says of a helper behind Docker's words. */
  const remedy = / \(docker-credential-\w+ keeps those of .*\)$/gm;
  const said = (client: string, text: string) =>
    text
      .replaceAll(client === "tug" ? remedy : /$^/g, "")
      .replaceAll(folder(client), "<config>")
      .replaceAll(/\btug (login|logout)\b/g, "docker $1")
      .replaceAll(tugBinary, "docker");

  /** Each client starts with this configuration, in a folder of its own. */
  function configure(value: object | undefined): void {
    for (const [client] of clients) {
      rmSync(folder(client), { recursive: true, force: true });
      mkdirSync(folder(client), { recursive: true });
      if (value) writeFileSync(config(client), JSON.stringify(value));
    }
  }

  /**
   * The words by one client after the other: docker-registry writes its small files in place, so that of two who push one image at once the
   * one finds what the other has just emptied ("digest invalid").
   */
  async function byEach(args: readonly string[], options: RunOptions): Promise<[Result, Result]> {
    const by = (client: string, program: string) =>
      run([program, ...args], { ...options, env: environment(client) });
    return [await by("docker", docker), await by("tug", tugBinary)];
  }

  /** The same command by both: exit codes, words and what is in the configuration afterwards must agree. */
  async function same(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const results = await byEach(args, options);
    const after = (client: string, result: Result) => {
      const kept: unknown = existsSync(config(client))
        ? JSON.parse(readFileSync(config(client), "utf8"))
        : null;
      const calls = join(folder(client), "calls");
      return {
        args,
        code: result.code,
        stdout: said(client, result.stdout),
        stderr: said(client, result.stderr),
        kept,
        // How often a helper is asked to forget is nobody's business.
        calls: existsSync(calls) ? readFileSync(calls, "utf8").replaceAll(/(erase\n)+/g, "erase\n") : "",
      };
    };
    const ours = after("tug", results[1]);
    expect(ours).toEqual(after("docker", results[0]));
    return ours;
  }
  const good = { input: "s3cret\n" };

  test("the plain file: kept with a warning, used again, and forgotten", async () => {
    configure(undefined);
    const { address } = registry;
    await same(["login", "-u", "alice", "--password-stdin", address], { input: "wrong\n" });
    const kept = await same(["login", "-u", "alice", "--password-stdin", address], good);
    expect(kept.stderr).toContain("WARNING! Your credentials are stored unencrypted");
    expect(statSync(config("tug")).mode & 0o777).toBe(0o600);
    await same(["login", address]);
    await same(["login", "-u", "alice", "-p", "s3cret", address]);
    await same(["login", `http://${address}/v2/`]);
    await same(["logout", address]);
    await same(["logout", address]);
    await same(["login", address]);
    await same(["logout"]);
  });

  test("refusals before anything is asked", async () => {
    configure({ auths: { other: { auth: "eDp5" } }, HttpHeaders: { "X-Mine": "1" } });
    const { address } = registry;
    await same(["login", "--password-stdin", address], good);
    await same(["login", "-p", "x", "--password-stdin", "-u", "alice", address], good);
    await same(["login", "-u", "", address]);
    await same(["login", "-u", "alice", "-p", "", address]);
    await same(["login", "-u", "alice", address]);
    await same(["login", "-u", "alice", "--password-stdin", "127.0.0.1:1"], good);
  });

  test("a credential store has the secret, the file has not", async () => {
    configure({ credsStore: "kept" });
    const { address } = registry;
    await same(["login", "-u", "alice", "--password-stdin", address], good);
    expect(readFileSync(config("tug"), "utf8")).not.toContain("s3cret");
    await same(["login", address]);
    await daemon.ok(["tag", "busybox", `${address}/private:1`]);
    await same(["push", "-q", `${address}/private:1`]);
    await same(["logout", address]);
    const refused = await same(["push", "-q", `${address}/private:1`]);
    expect(refused).toMatchObject({ code: 1 });
    await daemon.ok(["rmi", `${address}/private:1`]);
  });

  test("a helper of one registry serves that one alone; one that fails is told", async () => {
    const { address } = registry;
    configure({ credHelpers: { [address]: "kept" } });
    await same(["login", "-u", "alice", "--password-stdin", address], good);
    await same(["logout", address]);
    configure({ credHelpers: { [address]: "broken" } });
    await same(["login", "-u", "alice", "--password-stdin", address], good);
    await same(["logout", address]);
  });

  test("a helper that is missing, fails or prints rubbish keeps nobody from what is for everybody, and is named", async () => {
    await using stack = new AsyncDisposableStack();
    const open = stack.adopt(await TestRegistry.start(), (one) => one.close());
    const image = `${open.address}/public:1`;
    await daemon.ok(["tag", "busybox", image]);
    for (const helper of ["nosuch", "broken", "rubbish"]) {
      configure({ credsStore: helper });
      for (const words of [
        ["push", "-q", image],
        ["pull", "-q", image],
        ["pull", "-q", `${registry.address}/private:1`],
        ["login", "-u", "alice", "--password-stdin", registry.address],
        ["login", registry.address],
      ]) {
        const [theirs, ours] = await byEach(words, good);
        expect([helper, words, ours.code, ours.stdout]).toEqual([helper, words, theirs.code, theirs.stdout]);
        // docker says nothing of it; one that takes everything and tells nothing passes at a login.
        if (words[1] === "-u" && helper === "rubbish") continue;
        expect(ours.stderr).toContain(`docker-credential-${helper} keeps those of `);
        if (words[1] !== "-u") expect(ours.stderr).toContain("; going on without these credentials\n");
      }
    }
    await daemon.ok(["rmi", image]);
  });

  test("config.json decides how lists look and what is sent", async () => {
    configure({
      psFormat: "PS {{.Names}}",
      imagesFormat: "IMAGE {{.Repository}}",
      networksFormat: "NET {{.Name}}",
      volumesFormat: "VOL {{.Name}}",
      HttpHeaders: { "X-Mine": "1" },
      proxies: { default: { httpProxy: "http://proxy.test:3128", noProxy: "localhost" } },
    });
    await daemon.ok(["create", "--name", "one", "busybox"]);
    for (const words of [["ps", "-a"], ["images"], ["network", "ls"], ["volume", "ls"]]) await same(words);
    const env = ["run", "--rm", "busybox", "sh", "-c", "env | grep -i proxy | sort"];
    expect((await same(env)).stdout).toContain("HTTP_PROXY=http://proxy.test:3128");
    await daemon.ok(["rm", "one"]);
    for (const [client] of clients) writeFileSync(config(client), "{ broken");
    await Promise.all(
      clients.map(async ([client, program]) => {
        const result = await run([program, "ps"], { env: environment(client) });
        expect(`${result.stdout}${result.stderr}`).toContain(config(client));
      }),
    );
  });

  test("HttpHeaders go along with every request", async () => {
    configure({ HttpHeaders: { "X-Mine": "1" } });
    const heard: (string | null)[] = [];
    const socket = join(daemon.root, "listener.sock");
    using _server = Bun.serve({
      unix: socket,
      fetch(request) {
        heard.push(request.headers.get("x-mine"));
        return Response.json([], { headers: { "Api-Version": "1.51" } });
      },
    });
    for (const [client, program] of clients) {
      heard.length = 0;
      const env = { ...environment(client), DOCKER_HOST: `unix://${socket}` };
      expect(await run([program, "images"], { env })).toMatchObject({ code: 0 });
      expect(heard.length).toBeGreaterThan(0);
      expect(new Set(heard)).toEqual(new Set(["1"]));
    }
  });

  test("detachKeys leave a container with one's own keys", async () => {
    configure({ detachKeys: "ctrl-x,x" });
    for (const [client, program] of clients) {
      const words = [program, "run", "-it", "--name", `keys-${client}`, "busybox", "sh"];
      const terminal = await Terminal.open(words, environment(client));
      try {
        await terminal.until("#");
        terminal.type("\x18x");
        expect({ code: await terminal.exited, screen: terminal.text }).toMatchObject({ code: 0 });
      } finally {
        terminal.close();
      }
      expect(await daemon.ok(["ps", "-q", "-f", `name=keys-${client}`])).not.toBe("");
      await daemon.ok(["rm", "-f", `keys-${client}`]);
    }
  });
});
