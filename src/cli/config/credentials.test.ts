import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, TugError } from "../../base/lib/errors.ts";
import { until } from "../../base/lib/testdata/until.ts";
import type { Context } from "../context.ts";
import { silentOutput } from "../progress/display.ts";
import { loadConfig } from "./config-file.ts";
import { allAuths, authFor, hubKey, registryAuth, registryKey, serverName } from "./credentials.ts";
import { eraseAuth, storeAuth } from "./store.ts";

let home: string;
let path: string;
const savedPath = process.env["PATH"];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tug-config-"));
  path = join(home, "config.json");
});
afterEach(() => {
  process.env["PATH"] = savedPath;
  rmSync(home, { recursive: true, force: true });
});

const load = () => loadConfig({}, home);
const write = (data: unknown) => writeFileSync(path, JSON.stringify(data));
const read = () => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
const encoded = (text: string) => Buffer.from(text).toString("base64");

/** A context whose warnings are kept. */
function contextWith(warnings: string[]): Context {
  return {
    env: {},
    out: silentOutput,
    err: { ...silentOutput, write: async (text) => void warnings.push(String(text)) },
    in: {
      isTerminal: false,
      chunks: async function* () {},
      putBack: () => undefined,
      setRaw: () => undefined,
    },
    globals: {
      host: undefined,
      context: undefined,
      configDir: home,
      debug: false,
      tls: false,
      tlsverify: false,
      tlscacert: undefined,
      tlscert: undefined,
      tlskey: undefined,
    },
    client: () => Promise.reject(new Error("no daemon here")),
    config: load,
  };
}

/** Puts a credential helper that keeps secrets in a file on the PATH. */
function installHelper(): void {
  const folder = join(home, "bin");
  mkdirSync(folder);
  const script = join(folder, "docker-credential-test");
  writeFileSync(
    script,
    `#!/bin/sh
case "$1" in
store) cat > ${home}/secret ;;
erase) rm -f ${home}/secret ;;
get) if [ -f ${home}/secret ]; then cat ${home}/secret; else echo "credentials not found in native keychain"; exit 1; fi ;;
esac
`,
  );
  chmodSync(script, 0o755);
  process.env["PATH"] = `${folder}:${savedPath}`;
}

test("a missing or empty file is an empty configuration, a broken one too, which says so and is not written over", async () => {
  expect((await load()).data).toEqual({});
  writeFileSync(path, " \n");
  expect((await load()).data).toEqual({});
  writeFileSync(path, "{");
  const broken = await load();
  expect(broken.data).toEqual({});
  expect(broken.damage?.message).toStartWith(`Error parsing config file (${path}): `);
  await expect(
    storeAuth(contextWith([]), broken, "reg:5000", { username: "a", password: "b" }),
  ).rejects.toThrow(path);
  expect(readFileSync(path, "utf8")).toBe("{"); // what a person can still mend is not written over
  writeFileSync(path, "[]");
  expect((await load()).damage?.message).toContain("not a JSON object");
});

test("a key of the wrong kind costs itself alone and is named, and null is nothing", async () => {
  const wrong: Readonly<Record<string, string>> = {
    '{"psFormat": 5, "detachKeys": "ctrl-x"}':
      "json: cannot unmarshal number into Go struct field ConfigFile.psFormat of type string",
    '{"detachKeys": "ctrl-x", "auths": {"r": 5}}': "number into Go struct field ConfigFile.auths.r of type",
    '{"detachKeys": "ctrl-x", "auths": {"r": {"auth": 5}}}': "ConfigFile.auths.r.auth of type string",
    '{"detachKeys": "ctrl-x", "HttpHeaders": {"X-A": 5}}': "ConfigFile.HttpHeaders.X-A of type string",
    '{"detachKeys": "ctrl-x", "HttpHeaders": {"X-A": "a\\nb"}}': '"X-A" is no header field',
    '{"detachKeys": "ctrl-x", "proxies": {"default": {"noProxy": []}}}': "array into Go struct field",
    '{"detachKeys": "ctrl-x", "pruneFilters": "x"}': "string into Go struct field ConfigFile.pruneFilters",
    '{"detachKeys": "ctrl-x", "credHelpers": []}': "array into Go struct field ConfigFile.credHelpers",
  };
  for (const [text, words] of Object.entries(wrong)) {
    writeFileSync(path, text);
    const loaded = await load();
    expect(loaded.damage?.message).toStartWith(`Error parsing config file (${path}): `);
    expect(loaded.damage?.message).toContain(words);
    expect(loaded.data).toEqual({ detachKeys: "ctrl-x" });
  }
  writeFileSync(path, '{"psFormat": null, "auths": {"r": {"auth": null, "email": 5}}, "unknown": 5}');
  const fine = await load();
  expect([fine.damage, fine.data.psFormat]).toEqual([undefined, undefined]);
  writeFileSync(path, '{\n  "psFormat": "x", // mine\n}');
  expect((await load()).damage?.message).toEndWith(
    "invalid character '/' looking for beginning of object key string (line 2, column 20)",
  );
  rmSync(path);
  mkdirSync(path);
  expect((await load()).damage?.message).toBe(`Error loading config file: ${path}: is a directory`);
  rmSync(path, { recursive: true });
});

test("credentials are found under the registry's name, with or without scheme", async () => {
  write({
    auths: {
      [hubKey]: { auth: encoded("hub:secret") },
      "https://reg:5000/v2/": { auth: encoded("bob:pass:word") },
      "token.example": { identitytoken: "t" },
    },
  });
  const config = await load();
  expect(await authFor(config, registryKey("docker.io"))).toEqual({
    username: "hub",
    password: "secret",
    serveraddress: hubKey,
  });
  expect(await authFor(config, "reg:5000")).toMatchObject({ username: "bob", password: "pass:word" });
  expect(await authFor(config, "token.example")).toEqual({
    identitytoken: "t",
    serveraddress: "token.example",
  });
  expect(await authFor(config, "unknown:5000")).toBeUndefined();
  expect(Object.keys(await allAuths(config))).toEqual([hubKey, "https://reg:5000/v2/", "token.example"]);
});

test("credentials without a colon are refused rather than sent", async () => {
  write({ auths: { "reg:5000": { auth: encoded("nocolon") } } });
  await expect(authFor(await load(), "reg:5000")).rejects.toThrow("invalid auth configuration file");
});

test("a server is named by its host and port", () => {
  expect(serverName("https://reg:5000/v2/")).toBe("reg:5000");
  expect(serverName("http://reg")).toBe("reg");
  expect(serverName("reg:5000")).toBe("reg:5000");
});

test("login keeps credentials readable by their owner only, with a warning, and the rest of the file stays", async () => {
  write({ psFormat: "table {{.ID}}", auths: { other: { auth: encoded("o:p") } } });
  chmodSync(path, 0o644);
  const warnings: string[] = [];
  await storeAuth(contextWith(warnings), await load(), "reg:5000", {
    username: "a",
    password: "b",
    serveraddress: "reg:5000",
  });
  expect(read()).toEqual({
    psFormat: "table {{.ID}}",
    auths: { other: { auth: encoded("o:p") }, "reg:5000": { auth: encoded("a:b") } },
  });
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(warnings.join("")).toContain(`Your credentials are stored unencrypted in '${path}'`);
  expect(await authFor(await load(), "reg:5000")).toMatchObject({ username: "a", password: "b" });
});

test("a configuration behind a link stays behind the link", async () => {
  const real = join(home, "real.json");
  writeFileSync(real, "{}");
  symlinkSync(real, path);
  await storeAuth(contextWith([]), await load(), "reg:5000", { username: "a", password: "b" });
  expect(JSON.parse(readFileSync(real, "utf8")).auths["reg:5000"]).toEqual({ auth: encoded("a:b") });
});

test("logout forgets every name of a registry and touches no other", async () => {
  write({
    auths: { "reg:5000": {}, "https://reg:5000": { auth: encoded("a:b") }, other: { auth: encoded("o:p") } },
  });
  await eraseAuth(await load(), ["reg:5000", "http://reg:5000", "https://reg:5000"]);
  expect(read()).toEqual({ auths: { other: { auth: encoded("o:p") } } });
});

test("with a credential store nothing secret is in the file", async () => {
  installHelper();
  write({ credsStore: "test" });
  const warnings: string[] = [];
  await storeAuth(contextWith(warnings), await load(), "reg:5000", { username: "a", password: "b" });
  expect(warnings).toEqual([]);
  expect(read()).toEqual({ credsStore: "test", auths: { "reg:5000": {} } });
  expect(JSON.parse(readFileSync(join(home, "secret"), "utf8"))).toEqual({
    ServerURL: "reg:5000",
    Username: "a",
    Secret: "b",
  });
  expect(await authFor(await load(), "reg:5000")).toEqual({
    username: "a",
    password: "b",
    serveraddress: "reg:5000",
  });
  await eraseAuth(await load(), ["reg:5000"]);
  expect(await authFor(await load(), "reg:5000")).toBeUndefined();
});

test("an identity token from a helper is recognised, and a helper of one registry is used for it alone", async () => {
  installHelper();
  write({ credHelpers: { "reg:5000": "test" } });
  writeFileSync(
    join(home, "secret"),
    JSON.stringify({ ServerURL: "reg:5000", Username: "<token>", Secret: "t" }),
  );
  expect(await authFor(await load(), "reg:5000")).toEqual({ identitytoken: "t", serveraddress: "reg:5000" });
  expect(await authFor(await load(), "other:5000")).toBeUndefined();
});

/** Puts a program of these lines on the PATH as docker-credential-odd. */
function installOdd(script: string): void {
  const folder = join(home, "bin");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "docker-credential-odd"), script, { mode: 0o755 });
  process.env["PATH"] = `${folder}:${savedPath}`;
}

test("a helper that fails is named, with the registry, what to do, and nothing of what may be a secret", async () => {
  const refused = async (server = "reg:5000") => {
    const failure = await authFor(await load(), server).then(String, messageOf);
    expect(failure).toMatch(/^error getting credentials - err: .* out: `.*` \(docker-credential-\w+ keeps /);
    return failure;
  };
  write({ credsStore: "nosuch" });
  expect(await refused()).toEndWith(
    `err: exec: "docker-credential-nosuch": executable file not found in $PATH, out: \`\` (docker-credential-nosuch keeps those of reg:5000: install it, or take it out of credsStore in ${path})`,
  );
  write({ credsStore: "odd", credHelpers: { "other:5000": "nosuch" } });
  expect(await refused("other:5000")).toContain(`take it out of credHelpers' other:5000 in ${path}`);
  const answers: Readonly<Record<string, string>> = {
    "echo no keychain; exit 3":
      "err: exit status 3, out: `no keychain` (docker-credential-odd keeps those of",
    "kill -9 $$": "err: signal: SIGKILL, out",
    "echo secret": "err: invalid character 's' looking for beginning of value",
    true: "err: unexpected end of JSON input",
    "echo 5": "json: cannot unmarshal number into Go value of type credentials.Credentials",
    'echo \'{"Username": "u", "Secret": ["secret"]}\'': "array into Go struct field Credentials.Secret",
    "exec cat /dev/zero": "err: more than 1048576 bytes of output",
  };
  for (const [script, words] of Object.entries(answers)) {
    installOdd(`#!/bin/sh\n${script}\n`);
    const said = await refused();
    expect(said).toContain(words);
    expect(said).toContain("see what it says: echo reg:5000 | docker-credential-odd get, or take it out of ");
    expect(said).not.toMatch(/out: `.*secret/);
  }
  installOdd("no program\n");
  expect(await refused()).toContain('err: exec: "docker-credential-odd": exec format error');
});

test("names of what a helper says are read in any case, and nothing of both is no credentials", async () => {
  write({ credsStore: "odd" });
  installOdd(`#!/bin/sh\necho '{"username": "u", "SECRET": "s", "More": 5}'\n`);
  expect(await authFor(await load(), "reg:5000")).toMatchObject({ username: "u", password: "s" });
  for (const nothing of ["{}", "null", '{"Username": null, "Secret": ""}']) {
    installOdd(`#!/bin/sh\necho '${nothing}'\n`);
    expect(await authFor(await load(), "reg:5000")).toBeUndefined();
  }
});

test("a command goes on without a helper that fails, with what the file has, and says so", async () => {
  write({ credsStore: "nosuch", auths: { "reg:5000": { auth: encoded("a:b") } } });
  const warnings: string[] = [];
  const context = contextWith(warnings);
  expect(await registryAuth(context, "reg:5000")).toMatchObject({ username: "a", password: "b" });
  expect(await registryAuth(context, "docker.io")).toBeUndefined();
  expect(warnings).toEqual([
    expect.stringMatching(
      /^WARNING: error getting.*nosuch keeps those of reg:5000: .*; going on without these credentials\n$/,
    ),
    expect.stringContaining("keeps those of https://index.docker.io/v1/: "),
  ]);
  // An empty name excepts a registry from the store.
  write({ credsStore: "nosuch", credHelpers: { "reg:5000": "" } });
  expect(await registryAuth(context, "reg:5000")).toBeUndefined();
  expect(warnings).toHaveLength(2);
});

test("a helper that hangs is ended when nobody waits for it any more, whatever it ignores", async () => {
  write({ credsStore: "odd" });
  const begun = join(home, "begun");
  installOdd(
    `#!/bin/sh\ntrap '' TERM INT\necho $$ > ${begun}.new; mv ${begun}.new ${begun}\nexec sleep 1000\n`,
  );
  const stop = new AbortController();
  const failures: unknown[] = [];
  const asking = { signal: stop.signal, onFailure: (error: unknown) => void failures.push(error) };
  const waiting = authFor(await load(), "reg:5000", asking);
  waiting.catch(() => undefined); // looked at below
  await until(() => existsSync(begun));
  stop.abort(new TugError("cancelled", "given up"));
  await expect(waiting).rejects.toThrow("given up");
  expect(failures).toEqual([]);
  const pid = readFileSync(begun, "utf8").trim();
  // Ctrl-C, which the helper hears as well.
  installOdd("#!/bin/sh\nkill -INT $$\n");
  await expect(authFor(await load(), "reg:5000", { onFailure: () => undefined })).rejects.toThrow(
    "interrupted",
  );
  await until(() => !existsSync(`/proc/${pid}`));
});
