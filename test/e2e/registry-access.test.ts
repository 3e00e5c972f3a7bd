import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, tugBinary } from "../harness/daemon.ts";
import { mintToken } from "../harness/token-server.ts";
import { digestOf, TugRegistry } from "../harness/tug-registry.ts";

setDefaultTimeout(60_000);

/** What a request with these credentials may do: status of pull, push and delete in a repository. */
async function powers(registry: TugRegistry, repository: string, user?: string): Promise<readonly number[]> {
  const as = user === undefined ? {} : { user };
  const pull = await registry.request("GET", `/v2/${repository}/blobs/${digestOf("none")}`, as);
  const push = await registry.request("POST", `/v2/${repository}/blobs/uploads/`, as);
  const remove = await registry.request("DELETE", `/v2/${repository}/manifests/none`, as);
  return [pull.status, push.status, remove.status];
}

describe("names and passwords", () => {
  test("without them the registry asks, with wrong ones it refuses, with right ones it serves", async () => {
    await using registry = await TugRegistry.start({ users: { alice: "s3cret" } });
    const root = (user?: string) => registry.request("GET", "/v2/", user === undefined ? {} : { user });
    const asked = await root();
    expect([asked.status, asked.headers.get("www-authenticate")]).toEqual([
      401,
      expect.stringMatching(/^Basic realm="/),
    ]);
    expect(((await asked.json()) as { errors: { code: string }[] }).errors[0]?.code).toBe("UNAUTHORIZED");
    expect((await root("alice:s3cret")).status).toBe(200);
    for (const wrong of ["alice:", "alice:S3cret", "mallory:s3cret", ":s3cret", "alice"]) {
      expect((await root(wrong)).status).toBe(401);
    }
    expect(await powers(registry, "a/b", "alice:s3cret")).toEqual([404, 202, 404]);
    expect(await powers(registry, "a/b")).toEqual([401, 401, 401]);
    expect((await registry.request("GET", "/metrics")).status).toBe(401);
    expect((await registry.request("GET", "/v2/_catalog")).status).toBe(401);
    expect((await registry.request("GET", "/")).headers.get("www-authenticate")).toStartWith("Basic");
  });

  test("the file is read again when it changes", async () => {
    await using registry = await TugRegistry.start({ users: { alice: "old" } });
    expect((await registry.command("htpasswd", "bob")).stderr).toContain("the password is empty");
    const line = await run([tugBinary, "registry", "htpasswd", "bob", "--cost", "4"], { input: "new\n" });
    const file = join(registry.root, "htpasswd");
    writeFileSync(file, line.stdout);
    expect((await registry.request("GET", "/v2/", { user: "bob:new" })).status).toBe(200);
    expect((await registry.request("GET", "/v2/", { user: "alice:old" })).status).toBe(401);
    writeFileSync(file, "bob:{SHA}cleartext\n");
    expect((await registry.request("GET", "/v2/", { user: "bob:new" })).status).toBe(200);
    await eventually("it is said", () => registry.log.includes("is not bcrypt"));
  });

  test("rules give rights by user, group and repository, and what nobody may see is not listed", async () => {
    const users = { alice: "a", bob: "b", carol: "c" };
    await using registry = await TugRegistry.start({
      users,
      config: {
        groups: { developers: ["alice", "bob"] },
        access: [
          { users: ["alice"], repositories: ["team/**"], actions: ["pull", "push", "delete"] },
          { groups: ["developers"], repositories: ["team/*", "shared"], actions: ["push"] },
          { authenticated: true, repositories: ["public/**"], actions: ["pull"] },
        ],
      },
    });
    expect(await powers(registry, "team/app", "alice:a")).toEqual([404, 202, 404]);
    expect(await powers(registry, "team/app", "bob:b")).toEqual([404, 202, 403]);
    expect(await powers(registry, "team/app/deep", "bob:b")).toEqual([403, 403, 403]);
    expect(await powers(registry, "team/app", "carol:c")).toEqual([403, 403, 403]);
    expect(await powers(registry, "public/x", "carol:c")).toEqual([404, 403, 403]);
    await registry.pushBlob("team/app", "secret", "alice:a");
    await registry.pushBlob("shared", "open", "bob:b");
    const catalog = async (user: string) =>
      ((await (await registry.request("GET", "/v2/_catalog", { user })).json()) as { repositories: string[] })
        .repositories;
    expect(await catalog("alice:a")).toEqual(["shared", "team/app"]);
    expect(await catalog("carol:c")).toEqual([]);
    // A blob is not mounted out of a repository that one may not read, named or not.
    for (const from of ["&from=team/app", ""]) {
      const mount = await registry.request(
        "POST",
        `/v2/shared/blobs/uploads/?mount=${digestOf("secret")}${from}`,
        { user: "bob:b" },
      );
      expect(mount.status).toBe(201);
      const stolen = await registry.request(
        "POST",
        `/v2/public/x/blobs/uploads/?mount=${digestOf("secret")}${from}`,
        { user: "carol:c" },
      );
      expect(stolen.status).toBe(403);
    }
    expect((await registry.request("GET", "/pages/tags/team/app", { user: "carol:c" })).status).toBe(404);
    expect((await registry.request("GET", "/pages/tags/team/app", { user: "alice:a" })).status).toBe(200);
  });

  test("where everybody may pull, tokens are given out that say no more than their owner may", async () => {
    await using registry = await TugRegistry.start({
      users: { alice: "s3cret" },
      flags: ["--anonymous-pull"],
    });
    await registry.pushImage("app", "1", ["x"], {}, "alice:s3cret");
    const ping = await registry.request("GET", "/v2/");
    const realm = /realm="([^"]+)",service="([^"]+)"/.exec(ping.headers.get("www-authenticate") ?? "");
    expect([ping.status, realm?.[1]]).toEqual([401, `${registry.url}/token`]);
    const token = async (scope: string, user?: string) => {
      const path = `${realm?.[1]}?service=${realm?.[2]}&scope=${scope}`;
      const response = await registry.request("GET", path, user === undefined ? {} : { user });
      return ((await response.json()) as { token?: string }).token ?? String(response.status);
    };
    const status = async (method: string, path: string, bearer: string) =>
      (await registry.request(method, path, { headers: { Authorization: `Bearer ${bearer}` } })).status;
    const nobody = await token("repository:app:pull,push");
    expect(await status("GET", "/v2/", nobody)).toBe(200);
    expect(await status("GET", "/v2/app/manifests/1", nobody)).toBe(200);
    expect(await status("POST", "/v2/app/blobs/uploads/", nobody)).toBe(401);
    const alice = await token("repository:app:pull,push", "alice:s3cret");
    expect(await status("POST", "/v2/app/blobs/uploads/", alice)).toBe(202);
    expect(await status("POST", "/v2/other/blobs/uploads/", alice)).toBe(401);
    expect(await token("repository:app:pull", "alice:wrong")).toBe("401");
    const [head = "", claims = ""] = alice.split(".");
    expect(await status("GET", "/v2/app/manifests/1", `${head}.${claims}.AAAA`)).toBe(401);
    const visitor = await registry.request("GET", "/");
    expect([visitor.status, await visitor.text()]).toEqual([
      200,
      expect.stringContaining('href="/pages/tags/app"'),
    ]);
    const oauth = await registry.request("POST", "/token", {
      body: "grant_type=password&username=alice&password=s3cret&service=x&scope=repository:app:push",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
    expect(oauth.status).toBe(200);
  });
});

describe("tokens of another server", () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

  test("are taken when one of the keys has signed them, for what they say, and for nothing else", async () => {
    const keys = mkdtempSync("/tmp/tug-registry-keys-");
    try {
      const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const pem = ec.publicKey.export({ format: "pem", type: "spki" });
      writeFileSync(join(keys, "ec.pem"), pem);
      writeFileSync(
        join(keys, "set.json"),
        JSON.stringify({ keys: [{ ...rsa.publicKey.export({ format: "jwk" }), kid: "r1" }] }),
      );
      await using registry = await TugRegistry.start({
        flags: [
          ...["--token-realm", "https://auth.example/token", "--token-service", "registry.example"],
          ...[
            "--token-issuer",
            "issuer.example",
            "--token-key",
            join(keys, "ec.pem"),
            "--token-key",
            join(keys, "set.json"),
          ],
        ],
      });
      const now = Math.floor(Date.now() / 1000);
      const access = [{ type: "repository", name: "team/app", actions: ["pull", "push"] }];
      const good = {
        iss: "issuer.example",
        aud: "registry.example",
        sub: "alice",
        nbf: now - 5,
        exp: now + 300,
        access,
      };
      const ask = async (token: string, method = "POST", path = "/v2/team/app/blobs/uploads/") => {
        const response = await registry.request(method, path, {
          headers: { Authorization: `Bearer ${token}` },
        });
        return [response.status, response.headers.get("www-authenticate")];
      };
      expect(await ask(mintToken(ec.privateKey, "ES256", good))).toEqual([202, null]);
      expect(
        await ask(mintToken(rsa.privateKey, "RS256", { ...good, aud: ["x", "registry.example"] })),
      ).toEqual([202, null]);
      const asked = await registry.request("POST", "/v2/team/app/blobs/uploads/");
      expect(asked.headers.get("www-authenticate")).toBe(
        'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:team/app:pull,push"',
      );
      const bad: Record<string, string> = {
        stranger: mintToken(stranger.privateKey, "ES256", good),
        expired: mintToken(ec.privateKey, "ES256", { ...good, exp: now - 3600 }),
        early: mintToken(ec.privateKey, "ES256", { ...good, nbf: now + 3600 }),
        eternal: mintToken(ec.privateKey, "ES256", { ...good, exp: undefined }),
        issuer: mintToken(ec.privateKey, "ES256", { ...good, iss: "other" }),
        service: mintToken(ec.privateKey, "ES256", { ...good, aud: "other" }),
        "wrong algorithm": mintToken(ec.privateKey, "RS256", good),
        none: `${encode({ alg: "none" })}.${encode(good)}.AA`,
        // The public key taken for a shared secret is the classic of these mistakes.
        confused: ((text) => `${text}.${createHmac("sha256", pem).update(text).digest("base64url")}`)(
          `${encode({ alg: "HS256" })}.${encode(good)}`,
        ),
        garbage: "a.b.c",
      };
      for (const [name, token] of Object.entries(bad)) {
        expect([name, ...(await ask(token))]).toEqual([
          name,
          401,
          expect.stringContaining('error="invalid_token"'),
        ]);
      }
      const pull = mintToken(ec.privateKey, "ES256", {
        ...good,
        access: [{ type: "repository", name: "team/app", actions: ["pull"] }],
      });
      expect(await ask(pull)).toEqual([401, expect.stringContaining('error="insufficient_scope"')]);
      expect((await ask(pull, "GET", "/v2/_catalog"))[0]).toBe(401);
      const catalog = mintToken(ec.privateKey, "ES256", {
        ...good,
        access: [{ type: "registry", name: "catalog", actions: ["*"] }],
      });
      expect((await ask(catalog, "GET", "/v2/_catalog"))[0]).toBe(200);
    } finally {
      rmSync(keys, { recursive: true });
    }
  });
});
