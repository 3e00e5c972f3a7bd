import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { eventually, type Result, run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { processes } from "../harness/machine.ts";
import { TokenServer } from "../harness/token-server.ts";
import { TugRegistry } from "../harness/tug-registry.ts";

/** Builds from and to a registry that takes bearer tokens alone, which its token server gives for an identity token (OAuth 2.0's refresh token). */
setDefaultTimeout(120_000);

const docker = "/usr/bin/docker";
let root: string;
let daemon: TestDaemon;
let tokens: TokenServer;
let registry: TugRegistry;
let builds: Builds;

beforeAll(async () => {
  root = mkdtempSync("/tmp/tug-tokens-");
  tokens = new TokenServer({ ann: "secret" });
  writeFileSync(join(root, "key.pem"), tokens.publicKey);
  [daemon, registry] = await Promise.all([
    TestDaemon.start(),
    TugRegistry.start({ flags: tokens.registryFlags(join(root, "key.pem")) }),
  ]);
  builds = new Builds(daemon);
  const { folder } = await loggedIn();
  await daemon.ok(["tag", "busybox", base()]);
  expect(await tug(folder, ["push", "-q", base()])).toMatchObject({ code: 0 });
  await daemon.ok(["rmi", base()]);
}, 120_000);
afterAll(async () => {
  builds?.[Symbol.dispose]();
  await registry?.[Symbol.asyncDispose]();
  await daemon?.close();
  tokens?.[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
}, 120_000);

const command = (argv: readonly string[], folder: string, more: Record<string, string>, input?: string) =>
  run(argv, {
    timeout: 60_000,
    ...(input === undefined ? {} : { input }),
    env: { DOCKER_HOST: daemon.host, DOCKER_CONFIG: folder, PATH: `${root}:${process.env["PATH"]}`, ...more },
  });
const tug = (folder: string, args: readonly string[], input?: string) =>
  command([tugBinary, ...args], folder, {}, input);

/** A folder with this config.json. */
function config(content: object): string {
  const folder = mkdtempSync(join(root, "config-"));
  writeFileSync(join(folder, "config.json"), JSON.stringify(content));
  return folder;
}

/** An identity token, as a login gets it: docker's own client keeps the same entry. */
async function loggedIn(): Promise<{ readonly folder: string; readonly token: string }> {
  const folder = config({});
  const login = ["login", "-u", "ann", "--password-stdin", registry.address];
  const { code, stdout } = await tug(folder, login, "secret\n");
  expect([code, stdout]).toEqual([0, "Login Succeeded\n"]);
  const kept = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const { auth, identitytoken } = kept.auths[registry.address];
  expect(Buffer.from(auth, "base64").toString()).toBe("ann:");
  return { folder, token: identitytoken };
}

/** A helper that says this, after its process id is written down. */
function helper(name: string, script: string): string {
  writeFileSync(
    join(root, `docker-credential-${name}`),
    `#!/bin/sh\necho $$ >>${root}/${name}.pid\n${script}\n`,
    {
      mode: 0o755,
    },
  );
  return config({ credHelpers: { [registry.address]: name } });
}

const base = () => `${registry.address}/private/base:1`;
const context = (mark: string) => builds.context({ Dockerfile: `FROM ${base()}\nRUN echo ${mark} >/mark\n` });

/** Each way to build and push: its exit code and what was said. */
const ways: Readonly<Record<string, (folder: string, name: string) => Promise<Result>>> = {
  "tug build --push": (folder, name) => {
    const cache = `type=registry,ref=${registry.address}/private/cache:1`;
    const flags = ["--cache-from", cache, "--cache-to", `${cache},mode=max`, "--push", "-t", name];
    return tug(folder, ["build", "--no-cache", "--progress=plain", ...flags, context(name)]);
  },
  ...(Builds.missing() === undefined && {
    "docker build, BuildKit": (folder: string, name: string) => byDocker("1", folder, name),
    "docker build, classic": (folder: string, name: string) => byDocker("0", folder, name),
  }),
};
async function byDocker(kit: string, folder: string, name: string): Promise<Result> {
  const env = { DOCKER_BUILDKIT: kit };
  const built = await command([docker, "build", "--no-cache", "-t", name, context(name)], folder, env);
  return built.code === 0 ? await command([docker, "push", name], folder, env) : built;
}
if (Builds.missing()) console.log(`skipped: docker's clients: ${Builds.missing()}`);

for (const [way, build] of Object.entries(ways)) {
  test(`${way}: an identity token opens the base image, the cache and the push, from the file and from a helper`, async () => {
    const fromHelper = async () => {
      const { token } = await loggedIn();
      return helper("kept", `echo '{"Username":"<token>","Secret":"${token}"}'`);
    };
    // Of a login of its own: what a token was given for is remembered until that ends.
    for (const [index, one] of [(await loggedIn()).folder, await fromHelper()].entries()) {
      await daemon.tug(["rmi", "-f", base()]);
      const name = `${registry.address}/private/made:${index}`;
      tokens.grants.length = 0;
      expect([one, await build(one, name)]).toMatchObject([one, { code: 0 }]);
      expect(tokens.grants).toContain("refresh ann repository:private/base:pull");
      expect(tokens.grants.filter((grant) => !grant.startsWith("refresh ann "))).toEqual([]);
      expect(tokens.grants.some((grant) => /private\/made:(pull,push|push,pull)/.test(grant))).toBe(true);
      await daemon.ok(["rmi", "-f", name]);
      expect(await tug(one, ["pull", "-q", name])).toMatchObject({ code: 0 });
      await daemon.ok(["rmi", "-f", name]);
    }
  });

  test(`${way}: one that was taken back is refused, and so is nobody`, async () => {
    const { folder, token } = await loggedIn();
    tokens.refreshTokens.delete(token);
    for (const one of [folder, config({})]) {
      await daemon.tug(["rmi", "-f", base()]);
      const { code, stdout, stderr } = await build(one, `${registry.address}/private/never:1`);
      expect([code, stdout + stderr]).toEqual([1, expect.stringContaining("authentication required")]);
      expect(stdout + stderr).toContain(base());
    }
  });
}

test.skipIf(Builds.missing() !== undefined)(
  "docker's client logs in and keeps what tug keeps, and a classic build passes a token on that is sent as it is",
  async () => {
    const folder = config({});
    const login = ["login", "-u", "ann", "--password-stdin", registry.address];
    expect(await command([docker, ...login], folder, {}, "secret\n")).toMatchObject({ code: 0 });
    const entry = (one: string) =>
      JSON.parse(readFileSync(join(one, "config.json"), "utf8")).auths[registry.address];
    const ours = entry((await loggedIn()).folder);
    expect(entry(folder)).toEqual({ ...ours, identitytoken: expect.stringMatching(/^refresh-/) });

    const registrytoken = tokens.token("ann", ["repository:private/base:pull"]);
    const given = config({ auths: { [registry.address]: { registrytoken } } });
    await daemon.tug(["rmi", "-f", base()]);
    const env = { DOCKER_BUILDKIT: "0" };
    expect(await command([docker, "build", "-q", context("as it is")], given, env)).toMatchObject({
      code: 0,
    });
  },
);

test("a helper that fails keeps no build from what is for everybody, and one that hangs ends with its build", async () => {
  const dockerfile = `FROM ${base()}\n`;
  const failing = helper("failing", "echo locked; exit 1");
  const refused = await tug(failing, [
    "build",
    "--progress=plain",
    builds.context({ Dockerfile: dockerfile }),
  ]);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("authentication required")]);
  expect(refused.stderr).toContain(
    `WARNING: error getting credentials - err: exit status 1, out: \`locked\` (docker-credential-failing keeps those of ${registry.address}: `,
  );
  expect(refused.stderr.split("WARNING: error getting credentials")).toHaveLength(2);

  const hanging = helper("hanging", "trap '' INT TERM; exec sleep 987654");
  const child = Bun.spawn([tugBinary, "build", builds.context({ Dockerfile: dockerfile })], {
    env: {
      ...process.env,
      DOCKER_HOST: daemon.host,
      DOCKER_CONFIG: hanging,
      PATH: `${root}:${process.env["PATH"]}`,
    },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const pid = () =>
    existsSync(join(root, "hanging.pid")) ? readFileSync(join(root, "hanging.pid"), "utf8").trim() : "";
  await eventually("the helper is asked", () => pid() !== "");
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  await eventually("the helper has ended", () =>
    processes().every(({ command }) => command !== "sleep 987654"),
  );
});
