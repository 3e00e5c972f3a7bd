import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../client/address.ts";
import { Client } from "../../client/client.ts";
import { parseFlags } from "../flags/parse.ts";
import { containerFlags } from "./flags.ts";
import { containerSpec } from "./spec.ts";

const folder = mkdtempSync(join(tmpdir(), "tug-spec-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const env = { HERE: "yes" };
const spec = (version: string, ...argv: string[]) => {
  const { values, changed, args } = parseFlags(containerFlags, argv, false);
  const build = containerSpec({
    values,
    changed,
    image: args[0] ?? "",
    command: args.slice(1),
    env,
    proxies: ["HTTP_PROXY=p", "NO_PROXY=n"],
  });
  return build(new Client({ address: parseAddress("unix:///nowhere"), version }));
};
const now = (...argv: string[]) => spec("1.51", ...argv);

describe("what run asks the daemon for", () => {
  test("an interactive terminal keeps stdin open once", () => {
    expect(now("-it", "busybox", "sh", "-c", "x")).toMatchObject({
      Tty: true,
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      AttachStdout: true,
      Image: "busybox",
      Cmd: ["sh", "-c", "x"],
    });
  });

  test("environment comes from proxies, files and options, the last word to the options", () => {
    const path = file("env", "# comment\nA=1\n  B=2 x\nHERE\nGONE\n");
    expect(now("--env-file", path, "-e", "HTTP_PROXY=mine", "-e", "A=9", "x").Env).toEqual([
      "NO_PROXY=n",
      "A=1",
      "B=2 x",
      "HERE=yes",
      "HTTP_PROXY=mine",
      "A=9",
    ]);
    expect(() => now("--env-file", file("bad", "A B=1\n"), "x")).toThrow(
      "variable 'A B' contains whitespaces",
    );
    expect(() => now("--env-file", join(folder, "none"), "x")).toThrow("no such file or directory");
  });

  test("an empty entrypoint resets the image's", () => {
    expect(now("--entrypoint", "", "x").Entrypoint).toEqual([""]);
    expect(now("x").Entrypoint).toBeUndefined();
  });

  test("a seccomp profile's file is sent compact", () => {
    const path = file("seccomp.json", '{ "defaultAction": "SCMP_ACT_ALLOW" }');
    expect(
      now("--security-opt", `seccomp=${path}`, "--security-opt", "no-new-privileges", "x").HostConfig
        .SecurityOpt,
    ).toEqual(['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "no-new-privileges"]);
    expect(now("--security-opt", "systempaths=unconfined", "x").HostConfig).toMatchObject({
      MaskedPaths: [],
      ReadonlyPaths: [],
    });
  });

  test("health settings make a check, or switch it off", () => {
    expect(now("--health-cmd", "curl x", "--health-interval", "5s", "x").Healthcheck).toEqual({
      Test: ["CMD-SHELL", "curl x"],
      Interval: 5e9,
    });
    expect(now("--no-healthcheck", "x").Healthcheck).toEqual({ Test: ["NONE"] });
    expect(() => now("--no-healthcheck", "--health-cmd", "y", "x")).toThrow(
      "--no-healthcheck conflicts with --health-* options",
    );
  });

  test("the MAC address belongs to the endpoint, before API 1.44 to the container", () => {
    const argv = ["--mac-address", "02:42:ac:11:00:02", "x"];
    expect("MacAddress" in now(...argv)).toBe(false);
    expect(now(...argv).NetworkingConfig.EndpointsConfig?.["default"]?.MacAddress).toBe("02:42:ac:11:00:02");
    expect(spec("1.43", ...argv)).toMatchObject({ MacAddress: "02:42:ac:11:00:02" });
  });

  test("contradictions are refused before anything is asked for", () => {
    expect(() => now("--rm", "--restart", "always", "x")).toThrow(
      "conflicting options: cannot specify both --restart and --rm",
    );
    expect(() => now("--pid", "foo", "x")).toThrow("--pid: invalid PID mode");
    expect(() => now("--log-driver", "none", "--log-opt", "a=b", "x")).toThrow(
      "invalid logging opts for driver none",
    );
    expect(() => now("--memory-swappiness", "200", "x")).toThrow("Valid memory swappiness range is 0-100");
    expect(() => now("--storage-opt", "size", "x")).toThrow("invalid storage option");
  });
});
