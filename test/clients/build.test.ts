import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon } from "../harness/daemon.ts";

/** Builds ordered by programs that we did not write, over the protocol that each of them speaks. */
let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
}, 180_000);
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.close();
});

const files = {
  Dockerfile: [
    "FROM busybox AS maker",
    "ARG WHO=nobody",
    'RUN echo "made for $WHO" >/made',
    "FROM busybox AS other",
    "RUN exit 3",
    "FROM busybox",
    "COPY --from=maker /made /made",
    "COPY --chmod=600 kept /kept",
    'LABEL from="dockerfile"',
    'CMD ["cat", "/made"]',
  ].join("\n"),
  kept: "kept\n",
  left: "left\n",
  ".dockerignore": "left\n",
};

const clients = [
  { client: "/usr/bin/docker", kit: "1" },
  { client: "/usr/bin/docker", kit: "0" },
  // Newer ones have BuildKit's client in a plugin of their own.
  { client: "/usr/local/bin/docker", kit: "0" },
];
for (const { client, kit } of clients) {
  const absent = !existsSync(client);
  if (absent) console.log(`skipped: builds of the docker CLI at ${client}: it is not installed`);
  describe.skipIf(absent)(`${client} with DOCKER_BUILDKIT=${kit}`, () => {
    const docker = (args: readonly string[]) =>
      run([client, ...args], { env: { DOCKER_HOST: daemon.host, DOCKER_BUILDKIT: kit }, timeout: 60_000 });

    test("builds the stages that are needed, and again from the cache", async () => {
      const context = builds.context(files);
      const flags = [
        "--build-arg",
        `WHO=${kit}`,
        "--label",
        "more=flag",
        "-t",
        "client:one",
        "-t",
        "client:two",
      ];
      const first = await docker(["build", ...flags, context]);
      expect({ code: first.code, said: first.code === 0 ? "" : first.stderr + first.stdout }).toEqual({
        code: 0,
        said: "",
      });
      expect(await daemon.ok(["run", "--rm", "client:two"])).toBe(`made for ${kit}`);
      const labels = await docker(["image", "inspect", "-f", "{{json .Config.Labels}}", "client:one"]);
      expect(JSON.parse(labels.stdout)).toEqual({ from: "dockerfile", more: "flag" });
      const again = await docker(["build", ...flags, context]);
      expect(again.stdout + again.stderr).toMatch(kit === "1" ? /CACHED/ : /Using cache/);
    }, 180_000);

    test("tells a failing step with its exit code, and removes the cache", async () => {
      const failed = await docker(["build", "--target", "other", builds.context(files)]);
      expect(failed).toMatchObject({ code: kit === "1" ? 1 : 3 });
      expect(failed.stdout + failed.stderr).toMatch(
        kit === "1" ? /exit code: 3/ : /returned a non-zero code: 3/,
      );
      expect(await docker(["build", "-t", "client:one", builds.context(files)])).toMatchObject({ code: 0 });
      await docker(["rmi", "-f", "client:one", "client:two"]);
      const pruned = await docker(["builder", "prune", "-a", "-f"]);
      expect(pruned.stdout).toMatch(/Total(?: reclaimed space)?:\s+[1-9]/);
      expect((await docker(["system", "df"])).stdout).toMatch(/Build Cache\s+0\s+0\s+0B/);
    }, 180_000);
  });
}

const buildx =
  process.env["TUG_BUILDX"] ||
  ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", join(homedir(), ".docker/cli-plugins")]
    .map((directory) => join(directory, "docker-buildx"))
    .find((path) => existsSync(path));
if (buildx === undefined) console.log("skipped: no buildx (Debian 13's docker-buildx, or TUG_BUILDX)");

test.skipIf(buildx === undefined)(
  "buildx bakes targets that begin from, copy from and mount each other's results",
  async () => {
    const target = (text: string, contexts: Record<string, string> = {}) => ({
      context: builds.context({ Dockerfile: text, kept: "kept\n" }),
      contexts,
    });
    const base = target("FROM busybox\nENV WHO=base\nRUN date +%s%N >/stamp\nCOPY kept /kept\n");
    const middle = target("FROM base\nRUN echo $WHO >/who\n", { base: "target:base" });
    const top = target(
      "FROM middle\nCOPY --from=first /kept /copied\nRUN --mount=from=first,target=/m cat /m/stamp /stamp | uniq | wc -l >/stamps\n",
      { middle: "target:middle", first: "target:base" },
    );
    const named = Object.entries({ base, middle, top }).map(([name, one]) => [
      name,
      { ...one, tags: [`baked:${name}`] },
    ]);
    const file = join(builds.root, "bake.json");
    writeFileSync(file, JSON.stringify({ target: Object.fromEntries(named) }));
    const env = { DOCKER_HOST: daemon.host, DOCKER_CONFIG: join(builds.root, "config") };
    const command = [buildx ?? "", "bake", "--progress", "plain", "-f", file, "top", "middle"];
    const baked = await run(command, { env, timeout: 120_000 });
    expect(baked).toMatchObject({ code: 0 });
    expect(await daemon.ok(["run", "--rm", "baked:top", "cat", "/who", "/copied", "/stamps"])).toBe(
      "base\nkept\n1",
    );
    expect(await daemon.ok(["run", "--rm", "baked:middle", "cat", "/who"])).toBe("base");
  },
  180_000,
);

test("dockerode sends a directory's files and follows the build", async () => {
  const docker = new Docker({ socketPath: daemon.socket });
  const context = builds.context(files);
  const src = Object.keys(files);
  const stream = await docker.buildImage({ context, src }, { t: "ode", buildargs: { WHO: "ode" } });
  const events = await new Promise<readonly { stream?: string; error?: string; aux?: { ID?: string } }[]>(
    (done, failed) =>
      docker.modem.followProgress(stream, (error, output) => (error ? failed(error) : done(output))),
  );
  const said = events.map((event) => event.stream ?? event.error ?? "").join("");
  expect(said).toContain("Successfully tagged ode:latest");
  const id = events.map((event) => event.aux?.ID).find((found) => found !== undefined);
  expect((await docker.getImage("ode").inspect()).Id).toBe(id ?? "");
  expect(await daemon.ok(["run", "--rm", "ode"])).toBe("made for ode");
});
