import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Builds } from "../harness/builds.ts";
import { TestDaemon } from "../harness/daemon.ts";
import { type DrivenBuild, GatewayClient } from "../harness/gateway.ts";
import { Llb } from "../harness/llb.ts";

/** Builds that take each other's results, as `buildx bake` links targets. */
let daemon: TestDaemon;
let builds: Builds;
let client: GatewayClient;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
  client = await GatewayClient.open(daemon.socket);
}, 120_000);
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  builds[Symbol.dispose]();
  await daemon.close();
});

const image = (name: string) => [{ type: "image", attrs: { name } }];
const configKey = "containerimage.config";

/** What another build needs of a result. */
async function linked(build: DrivenBuild, fields: Parameters<DrivenBuild["solve"]>[0] = {}) {
  const result = await build.solve({ frontend: "dockerfile.v0", ...fields });
  const definition = result.ref?.def;
  if (!definition) throw new Error("a result without definition");
  const config = Buffer.from(result.metadata[configKey] ?? []).toString("base64");
  return { result, definition, metadata: JSON.stringify({ [configKey]: config }) };
}

describe("a build on another's result", () => {
  test("has its files, its configuration and its layers; steps of both run once", async () => {
    const base = builds.context({
      Dockerfile:
        "FROM busybox AS first\nENV WHO=base\nRUN date +%s%N >/stamp\nFROM first\nCOPY hello /hello\nWORKDIR /work\n",
      hello: "from the base's own directory\n",
    });
    const app = builds.context({
      Dockerfile:
        'FROM base\nCOPY hello own\nRUN echo "$WHO" >who\nFROM scratch\nCOPY --from=base /hello /\nFROM base\nCOPY --from=0 /work/who .\nCMD ["cat", "/hello", "who"]\n',
      hello: "from the app's own directory\n",
    });
    const stamps: string[] = [];
    const lent = (path: string) => ({ context: path, dockerfile: path });
    await client.drive({ directories: lent(base), exporters: image("base:1") }, async (first) => {
      const { result, definition, metadata } = await linked(first);
      // Before the base itself is made: the app's build brings its steps, with files that the base's client has.
      await client.drive({ directories: lent(app), exporters: image("app:1") }, async (second) => {
        const frontendOpt = { "context:base": "input:0-base", "input-metadata:0-base": metadata };
        const built = await linked(second, { frontendOpt, frontendInputs: { "0-base": definition } });
        const ref = built.result.ref?.id ?? "";
        stamps.push((await second.readFile(ref, "/stamp")).trim());
        return built.result;
      });
      stamps.push((await first.readFile(result.ref?.id ?? "", "/stamp")).trim());
      return result;
    });
    expect(await daemon.ok(["run", "--rm", "app:1"])).toBe("from the base's own directory\nbase");
    stamps.push(await daemon.ok(["run", "--rm", "base:1", "cat", "/stamp"]));
    stamps.push(await daemon.ok(["run", "--rm", "app:1", "cat", "/stamp"]));
    expect(new Set(stamps).size).toBe(1);
    const layers = async (name: string) =>
      JSON.parse(
        await daemon.ok(["image", "inspect", "--format", "{{json .RootFS.Layers}}", name]),
      ) as string[];
    const [below, above] = [await layers("base:1"), await layers("app:1")];
    expect(above.slice(0, below.length)).toEqual(below);
    expect(above).toHaveLength(below.length + 1);
    const history = await daemon.ok(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "app:1"]);
    expect(history.split("\n").filter((line) => line.includes("COPY"))).toEqual([
      "COPY /work/who . # buildkit",
      "COPY hello /hello # buildkit",
    ]);
  }, 120_000);

  test("goes on after that build is over, and several platforms' results go by theirs", async () => {
    const dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY <<EOF /arch\n$TARGETARCH\nEOF\n";
    const base = builds.context({ Dockerfile: dockerfile });
    const app = builds.context({ Dockerfile: "FROM base\nCOPY more /\n", more: "m" });
    const both = { platform: "linux/amd64,linux/arm64" };
    const inputs: Record<string, NonNullable<Awaited<ReturnType<DrivenBuild["solve"]>>["ref"]>["def"]> = {};
    const attrs: Record<string, string> = { ...both };
    await client.drive({ directories: { context: base, dockerfile: base } }, async (build) => {
      const result = await build.solve({ frontend: "dockerfile.v0", frontendOpt: both });
      expect(Object.keys(result.refs?.refs ?? {}).sort()).toEqual(["linux/amd64", "linux/arm64"]);
      for (const [platform, { def }] of Object.entries(result.refs?.refs ?? {})) {
        inputs[`base::${platform}`] = def;
        attrs[`context:base::${platform}`] = `input:base::${platform}`;
      }
      return result;
    });
    const given = Object.fromEntries(
      Object.entries(inputs).flatMap(([name, def]) => (def ? [[name, def]] : [])),
    );
    await client.drive({ directories: { context: app, dockerfile: app } }, async (build) => {
      const result = await build.solve({
        frontend: "dockerfile.v0",
        frontendOpt: attrs,
        frontendInputs: given,
      });
      const refs = result.refs?.refs ?? {};
      expect(await build.readFile(refs["linux/amd64"]?.id ?? "", "arch")).toBe("amd64\n");
      expect(await build.readFile(refs["linux/arm64"]?.id ?? "", "arch")).toBe("arm64\n");
      expect((await build.readDir(refs["linux/arm64"]?.id ?? "", "/")).map(({ path }) => path)).toEqual([
        "arch",
        "more",
      ]);
      return result;
    });
  }, 120_000);

  test("takes its context and its Dockerfile from there as well", async () => {
    const files = builds.context({
      Dockerfile:
        "FROM busybox\nWORKDIR /src\nRUN printf 'FROM scratch\\nCOPY . /all\\n' >Dockerfile; printf no >no; printf no >.dockerignore; touch yes\n",
    });
    await client.drive({ directories: { context: files, dockerfile: files } }, async (build) => {
      const { definition } = await linked(build);
      const llb = new Llb();
      const made = llb.take(definition);
      const src = llb.file(
        [made],
        [
          {
            input: -1n,
            secondaryInput: 0n,
            output: 0n,
            copy: {
              src: "/src",
              dest: "/",
              dirCopyContents: true,
              mode: -1,
              timestamp: -1n,
              createDestPath: true,
            },
          },
        ],
      );
      const tree = llb.definition(src);
      const result = await build.solve({
        frontend: "dockerfile.v0",
        frontendInputs: { context: tree, dockerfile: tree },
      });
      const entries = await build.readDir(result.ref?.id ?? "", "/all");
      expect(entries.map(({ path }) => path)).toContain("yes");
      return {};
    });
  }, 120_000);

  test("is refused what was never handed out, and what it names without giving it", async () => {
    const files = builds.context({ Dockerfile: "FROM base\n" });
    const directories = { context: files, dockerfile: files };
    const llb = new Llb();
    const invented = llb.definition(llb.source(`tug-result://${"0".repeat(64)}`));
    const frontendOpt = { "context:base": "input:base" };
    const tried = (frontendInputs: Record<string, typeof invented>) =>
      client.drive({ directories }, async (build) =>
        build.solve({ frontend: "dockerfile.v0", frontendOpt, frontendInputs }),
      );
    await expect(tried({ base: invented })).rejects.toThrow("not known any more");
    await expect(tried({})).rejects.toThrow('invalid input "base" for "base"');
  });
});
