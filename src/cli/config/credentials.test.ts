import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
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
import type { Context } from "../context.ts";
import { silentOutput } from "../progress/display.ts";
import { loadConfig } from "./config-file.ts";
import { allAuths, authFor, hubKey, registryKey, serverName } from "./credentials.ts";
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

test("a helper that is not installed is named", async () => {
  write({ credsStore: "nosuch" });
  await expect(authFor(await load(), "reg:5000")).rejects.toThrow(
    'exec: "docker-credential-nosuch": executable file not found in $PATH',
  );
});
