import { expect, test } from "bun:test";
import { parseChallenges } from "./challenge.ts";
import { basicHeader, credentialsOf } from "./credentials.ts";
import { loginDomain } from "./login.ts";

test("challenges are read with quoted and bare parameters, several in one header", () => {
  expect(
    parseChallenges('Bearer realm="https://a.test/token?x=1,2",service="s", scope="repository:a:pull"'),
  ).toEqual([
    {
      scheme: "bearer",
      parameters: { realm: "https://a.test/token?x=1,2", service: "s", scope: "repository:a:pull" },
    },
  ]);
  expect(parseChallenges('Negotiate, Basic realm="say \\"x\\"" , BEARER Realm=bare')).toEqual([
    { scheme: "negotiate", parameters: {} },
    { scheme: "basic", parameters: { realm: 'say "x"' } },
    { scheme: "bearer", parameters: { realm: "bare" } },
  ]);
});

test("nonsense gives what could be read, and ends", () => {
  expect(parseChallenges("")).toEqual([]);
  expect(parseChallenges('="x"')).toEqual([]);
  expect(parseChallenges('Basic realm="open')).toEqual([{ scheme: "basic", parameters: {} }]);
  expect(parseChallenges("(((")).toEqual([]);
  expect(parseChallenges(`Basic ${"a=".repeat(50_000)}`)).toHaveLength(1);
  expect(parseChallenges('Bearer constructor="x"')[0]?.parameters["constructor"]).toBe("x");
});

test("credentials come from either form of X-Registry-Auth", () => {
  const auth = Buffer.from("user:pa:ss").toString("base64");
  expect(basicHeader(credentialsOf({ auth }))).toBe(`Basic ${auth}`);
  expect(basicHeader(credentialsOf({ username: "user", password: "pa:ss" }))).toBe(`Basic ${auth}`);
  expect(basicHeader(credentialsOf({}))).toBeUndefined();
  expect(basicHeader(credentialsOf({ auth: "!!!" }))).toBeUndefined();
  expect(credentialsOf({ registrytoken: "t", username: "u" }).registryToken).toBe("t");
});

test("a login's server address becomes the domain of image names", () => {
  expect(loginDomain("")).toBe("docker.io");
  expect(loginDomain("https://index.docker.io/v1/")).toBe("docker.io");
  expect(loginDomain("https://registry.test:5000/v2/")).toBe("registry.test:5000");
});
