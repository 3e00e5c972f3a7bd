import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, run, TestDaemon, tugBinary } from "../harness/daemon.ts";
import { type PublishedIndex, publishIndex } from "../harness/multi-platform.ts";
import { TestRegistry } from "../harness/registry.ts";

const docker = "/usr/local/bin/docker";
const missing = existsSync(docker) ? TestRegistry.missing() : `${docker} is not installed`;
if (missing) console.log(`skipped: manifest as docker's client has it: ${missing}`);

/** Docker's client makes manifest lists without a daemon: every word of ours is held against its. */
describe.skipIf(missing !== undefined)("manifest as docker's client has it", () => {
  let daemon: TestDaemon;
  let registry: TestRegistry;
  let app: PublishedIndex;
  let other: PublishedIndex;
  beforeAll(async () => {
    [daemon, registry] = await Promise.all([TestDaemon.start({ busybox: false }), TestRegistry.start()]);
    const tar = new Uint8Array(10_240);
    app = await publishIndex(registry.address, "team/app", "1", { amd64: tar, arm64: tar });
    other = await publishIndex(registry.address, "team/other", "1", { amd64: tar, s390x: tar });
    for (const client of ["docker", "tug"]) mkdirSync(join(daemon.root, client));
  }, 180_000);
  afterAll(async () => {
    await Promise.all([daemon.close(), registry.close()]);
  });

  /** The same command by both clients; their exit codes and every word must agree. */
  async function same(args: readonly string[]): Promise<Result> {
    const of = (client: string, program: string) =>
      run([program, "manifest", ...args], {
        env: { DOCKER_CONFIG: join(daemon.root, client), DOCKER_HOST: daemon.host },
      });
    const expected = await of("docker", docker);
    const got = await of("tug", tugBinary);
    expect({ args, ...got }).toEqual({ args, ...expected });
    return got;
  }

  test("inspect shows lists and manifests, whole and in detail, and says what is not there", async () => {
    const at = registry.address;
    for (const name of [
      `${at}/team/app:1`,
      `${at}/team/app@${app.manifests["arm64"]}`,
      `${at}/team/nosuch:1`,
    ]) {
      await same(["inspect", "--insecure", name]);
      await same(["inspect", "--insecure", "-v", name]);
    }
    await same(["inspect", "UPPER"]);
  });

  test("a list is made, annotated, shown, pushed under one digest, and forgotten", async () => {
    const list = `${registry.address}/team/list:1`;
    const first = `${registry.address}/team/app@${app.manifests["amd64"]}`;
    const second = `${registry.address}/team/other@${other.manifests["s390x"]}`;
    await same(["push", "--insecure", list]);
    await same(["create", "--insecure", list, first]);
    await same(["create", "--insecure", list, second]);
    await same(["create", "--insecure", "--amend", list, second]);
    await same(["create", "--insecure", "-a", list, `${registry.address}/team/app:1`]);
    await same(["annotate", "--arch", "arm", "--variant", "v7", "--os-version", "3", list, second]);
    await same(["annotate", "--os-features", "a,b", "--os-features", "b", list, second]);
    await same(["annotate", "--arch", "nonsense", list, second]);
    await same(["annotate", "--arch", "arm", list, `${registry.address}/team/other:9`]);
    await same(["inspect", list]);
    await same(["inspect", "-v", list]);
    await same(["inspect", list, second]);
    await same(["inspect", list, `${registry.address}/team/other:9`]);
    const stored = (client: string) => {
      const folder = join(daemon.root, client, "manifests");
      const [name = ""] = readdirSync(folder);
      const files = readdirSync(join(folder, name)).sort();
      return files.map((file) => [name, file, readFileSync(join(folder, name, file), "utf8")]);
    };
    expect(stored("tug")).toEqual(stored("docker"));
    const pushed = await same(["push", "--insecure", list]);
    expect(pushed.stdout).toMatch(/^Pushed ref .*\n.*\nsha256:[0-9a-f]{64}\n$/s);
    await same(["rm", list, `${registry.address}/team/list:9`]);
    await same(["inspect", "--insecure", list]);
    await same(["create", "--insecure", "other.test/list:1", first]);
    await same(["push", "other.test/list:1"]);
    await same(["rm", "other.test/list:1"]);
  });

  test("a list of manifests that the registry never had together is pulled by its platform", async () => {
    const list = `${registry.address}/mixed:1`;
    const env = { DOCKER_CONFIG: join(daemon.root, "tug") };
    const parts = [app.manifests["amd64"], other.manifests["s390x"]];
    const names = [`${registry.address}/team/app@${parts[0]}`, `${registry.address}/team/other@${parts[1]}`];
    await daemon.ok(["manifest", "create", list, ...names], { env });
    const digest = (await daemon.ok(["manifest", "push", "--purge", list], { env })).split("\n").at(-1);
    const said = await daemon.ok(["pull", "--platform", "linux/s390x", list]);
    expect(said).toContain(`Digest: ${digest}`);
    expect(await daemon.ok(["image", "inspect", "-f", "{{.Architecture}}", list])).toBe("s390x");
    await daemon.ok(["rmi", list]);
    expect((await daemon.tug(["manifest", "push", list], { env })).stderr).toContain("No such manifest");
  });
});
