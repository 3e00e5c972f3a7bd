import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  DockerComposeEnvironment,
  GenericContainer,
  Network,
  type StartedTestContainer,
  Wait,
} from "testcontainers";
import { run, TestDaemon } from "../harness/daemon.ts";
import { tryFetch } from "../harness/web.ts";

/**
 * Testcontainers for Node.js as its users' tests drive it. It reads the environment and keeps one connection for the process: this file alone uses it here.
 * There is no Docker Hub, from where its reaper comes: testcontainers-reaper.test.ts has one of our own.
 */
let daemon: TestDaemon;
let folder: string;
const saved = { ...process.env };
beforeAll(async () => {
  daemon = await TestDaemon.start();
  folder = mkdtempSync(join(tmpdir(), "tug-testcontainers-"));
  // Its lock files and what it knows of registries are to be found there, not in ours.
  Object.assign(process.env, {
    DOCKER_HOST: daemon.host,
    DOCKER_CONFIG: folder,
    TMPDIR: folder,
    TESTCONTAINERS_RYUK_DISABLED: "true",
    // As on a machine of one's own: these tests may themselves run in a container.
    TESTCONTAINERS_HOST_OVERRIDE: "localhost",
  });
}, 180_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
  Object.assign(process.env, saved);
  rmSync(folder, { recursive: true, force: true });
  await daemon.close();
});

/** A container that runs this until it is told to end. */
const shell = (script: string) => new GenericContainer("busybox").withCommand(["sh", "-c", script]);
const server = "mkdir -p /www; echo served >/www/index.html; exec httpd -f -h /www -p 80";
const address = (container: StartedTestContainer, port: number) =>
  `http://${container.getHost()}:${container.getMappedPort(port)}`;
/** It looks again after as long as one look may take. */
const http = () => Wait.forHttp("/", 80).withReadTimeout(500);
const output = async (container: StartedTestContainer, command: string) => {
  const result = await container.exec(["sh", "-c", command]);
  expect([command, result.exitCode, result.stderr]).toEqual([command, 0, ""]);
  return result.stdout.trimEnd();
};
const containers = () => daemon.ok(["ps", "-aq"]);
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test("every way of waiting until a container is ready, side by side", async () => {
  const late = `sleep 0.3; echo ready; ${server}`;
  const health = {
    test: ["CMD-SHELL", "wget -qO- http://127.0.0.1/"] satisfies ["CMD-SHELL", string],
    interval: 100,
    timeout: 30_000,
    retries: 100,
    startPeriod: 60_000,
  };
  const web = () => shell(late).withExposedPorts(80).withHealthCheck(health);
  const answer = Wait.forHttp("/index.html", 80, { abortOnContainerExit: true }).withReadTimeout(500);
  const ticks = "for i in 1 2 3; do echo tick $i; sleep 0.1; done; exec sleep 1000";
  const ways = {
    "a line of the log": shell("echo ready; exec sleep 1000").withWaitStrategy(Wait.forLogMessage("ready")),
    "a line that comes again": shell(ticks).withWaitStrategy(Wait.forLogMessage(/^tick \d$/, 3)),
    "listening ports": web().withWaitStrategy(Wait.forListeningPorts()),
    "a health check": web().withWaitStrategy(Wait.forHealthCheck()),
    // Without a strategy it is the health check that there is, else the ports.
    "what there is to wait for": web(),
    "an answer": web().withWaitStrategy(
      answer.forStatusCode(200).forResponsePredicate((body) => body === "served\n"),
    ),
    "a command that succeeds": web().withWaitStrategy(Wait.forSuccessfulCommand("test -e /www/index.html")),
    "all of several": web().withWaitStrategy(
      Wait.forAll([Wait.forLogMessage("ready"), Wait.forListeningPorts(), Wait.forHealthCheck()]),
    ),
    "the end of what runs once": shell("sleep 0.1; echo done").withWaitStrategy(Wait.forOneShotStartup()),
  };
  await Promise.all(
    Object.entries(ways).map(async ([way, container]) => {
      await using started = await container.withStartupTimeout(60_000).start();
      const state = await daemon.ok([
        "inspect",
        "-f",
        "{{.State.Status}} {{.State.ExitCode}}",
        started.getId(),
      ]);
      expect([way, state]).toEqual([way, way.includes("once") ? "exited 0" : "running 0"]);
      const ready = !/line|once|command/.test(way);
      if (ready) expect([way, await tryFetch(address(started, 80))]).toEqual([way, "served\n"]);
    }),
  );
}, 180_000);

test("ports, environment, labels and all that a container may be told", async () => {
  const container = await shell(server)
    .withName("told")
    .withHostname("teller")
    .withExposedPorts(80, { container: 81, host: 0 }, "82/udp")
    .withEnvironment({ ONE: "1", TWO: "two words" })
    .withEnvironment({ THREE: "a=b" })
    .withLabels({ "of.test": "yes" })
    .withWorkingDir("/tmp")
    .withExtraHosts([{ host: "elsewhere", ipAddress: "10.1.2.3" }])
    .withUlimits({ nofile: { hard: 512, soft: 256 } })
    .withResourcesQuota({ memory: 0.0625, cpu: 0.5 })
    .withSharedMemorySize(1 << 20)
    .withAddedCapabilities("NET_ADMIN")
    .withDroppedCapabilities("CHOWN")
    .withSecurityOpt("no-new-privileges")
    .withDefaultLogDriver()
    .withWaitStrategy(http())
    .start();
  expect(container.getName()).toBe("/told");
  expect(container.getHostname()).toBe("teller");
  expect(container.getLabels()).toMatchObject({ "of.test": "yes", "org.testcontainers": "true" });
  expect(container.getFirstMappedPort()).toBe(container.getMappedPort(80));
  const mapped = [
    container.getMappedPort(80),
    container.getMappedPort(81),
    container.getMappedPort(82, "udp"),
  ];
  expect(new Set(mapped).size).toBe(3);
  expect(await tryFetch(address(container, 80))).toBe("served\n");
  const lines = await output(container, "pwd; hostname; echo $ONE-$TWO-$THREE; ulimit -Sn; ulimit -Hn");
  expect(lines.split("\n")).toEqual(["/tmp", "teller", "1-two words-a=b", "256", "512"]);
  expect(await output(container, "grep elsewhere /etc/hosts")).toBe("10.1.2.3\telsewhere");
  expect(await output(container, "df -k /dev/shm | tail -1 | awk '{ print $2 }'")).toBe("1024");
  const limits =
    "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}";
  expect(await daemon.ok(["inspect", "-f", limits, "told"])).toMatch(
    /^67108864 500000000 \[(CAP_)?NET_ADMIN\] \[(CAP_)?CHOWN\]$/,
  );
  expect(await output(container, "grep NoNewPrivs /proc/self/status")).toBe("NoNewPrivs:\t1");
  await container.stop();
  expect(await containers()).toBe("");
});

test("files, folders, content and archives are there before it starts, and can come and go later", async () => {
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "deep"), { recursive: true });
  writeFileSync(join(tree, "deep", "leaf"), "leaf\n");
  const archive = () => Bun.spawn(["tar", "-C", tree, "-c", "deep"], { stdout: "pipe" });
  const tar = async () => Readable.from([Buffer.from(await new Response(archive().stdout).bytes())]);
  const script =
    "cat /etc/given /content/late /folder/deep/leaf /var/tmp/deep/leaf; stat -c %a /etc/given; exec sleep 1000";
  await using container = await new GenericContainer("busybox")
    .withEntrypoint(["sh", "/content/entry.sh"])
    .withCopyFilesToContainer([{ source: file("given", "given\n"), target: "/etc/given", mode: 0o640 }])
    .withCopyContentToContainer([
      { content: script, target: "/content/entry.sh", mode: 0o755 },
      { content: Buffer.from("content\n"), target: "/content/late" },
    ])
    .withCopyDirectoriesToContainer([{ source: tree, target: "/folder" }])
    .withCopyArchivesToContainer([{ tar: await tar(), target: "/var/tmp" }])
    .withWaitStrategy(Wait.forLogMessage("640"))
    .start();
  expect(await text(await container.logs(), "640\n")).toBe("given\ncontent\nleaf\nleaf\n640\n");
  await container.copyContentToContainer([{ content: "changed\n", target: "/content/late", mode: 0o600 }]);
  await container.copyFilesToContainer([{ source: join(folder, "given"), target: "/second" }]);
  await container.copyDirectoriesToContainer([{ source: tree, target: "/third" }]);
  await expect(container.copyArchiveToContainer(await tar(), "/nowhere")).rejects.toThrow(
    "Could not find the file /nowhere in container",
  );
  await container.copyArchiveToContainer(await tar(), "/var");
  expect(await output(container, "cat /content/late /second /third/deep/leaf /var/deep/leaf")).toBe(
    "changed\ngiven\nleaf\nleaf",
  );
  const chunks: Buffer[] = [];
  for await (const chunk of await container.copyArchiveFromContainer("/content"))
    chunks.push(chunk as Buffer);
  const listed = await run(["tar", "-xO", "content/late"], { input: Buffer.concat(chunks) });
  expect(listed).toEqual({ code: 0, stdout: "changed\n", stderr: "" });
}, 180_000);

/** What a log that is followed says until all of these are in it; the stream is closed then. */
async function text(stream: Readable, ...until: readonly string[]): Promise<string> {
  let said = "";
  for await (const chunk of stream) {
    said += chunk;
    if (until.every((one) => said.includes(one))) break;
  }
  return said;
}

test("exec: both streams, exit codes, a user, a folder, an environment", async () => {
  await using container = await shell("exec sleep 1000").start();
  const both = await container.exec(["sh", "-c", "echo out; echo err >&2; exit 7"]);
  expect(both).toMatchObject({ exitCode: 7, stdout: "out\n", stderr: "err\n" });
  // They come through a pipe each: which is read first is not told by what was written first.
  expect(["out\nerr\n", "err\nout\n"]).toContain(both.output);
  const told = { user: "nobody", workingDir: "/var", env: { GIVEN: "v" } };
  expect((await container.exec(["sh", "-c", 'echo "$(id -un) $PWD $GIVEN"'], told)).stdout).toBe(
    "nobody /var v\n",
  );
  expect((await container.exec("echo one two")).output).toBe("one two\n");
  const big = await container.exec(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]);
  expect([big.exitCode, big.stdout.length]).toEqual([0, 3_000_000]);
  const missing = await container.exec(["nosuch"]);
  expect([missing.exitCode, missing.output]).toEqual([
    127,
    expect.stringContaining('exec: "nosuch": executable file not found in $PATH'),
  ]);
  // Many at once, as suites that run side by side do.
  const many = await Promise.all(Array.from({ length: 12 }, (_, i) => container.exec(["echo", `${i}`])));
  expect(many.map((one) => one.output)).toEqual(Array.from({ length: 12 }, (_, i) => `${i}\n`));
}, 180_000);

test("logs: from the start, the last lines, since a time, by a consumer", async () => {
  let consumed: Promise<string> | undefined;
  const container = await shell("echo first; echo second >&2; echo third; exec sleep 1000")
    .withLogConsumer((stream) => {
      consumed = whole(stream);
    })
    .withWaitStrategy(Wait.forLogMessage("third"))
    .start();
  expect((await text(await container.logs(), "first\n", "second\n", "third\n")).length).toBe(19);
  expect(await text(await container.logs({ tail: 1 }), "\n")).not.toContain("first");
  const later = await container.logs({ since: Math.floor(Date.now() / 1000) + 1000 });
  const nothing = whole(later);
  await container.stop();
  expect(await nothing).toBe("");
  expect(await consumed).toContain("third\n");
}, 180_000);

/** All a stream says until it ends. */
async function whole(stream: Readable): Promise<string> {
  let said = "";
  for await (const chunk of stream) said += chunk;
  return said;
}

test("networks: names, aliases, addresses, and they go once nobody is left in them", async () => {
  const network = await new Network().start();
  const other = await new Network().start();
  const web = await shell(server)
    .withNetwork(network)
    .withNetworkAliases("web", "www")
    .withExposedPorts(80)
    .withWaitStrategy(http())
    .start();
  const client = await shell("exec sleep 1000").withName("asks").withNetwork(network).start();
  const stranger = await shell("exec sleep 1000").withNetwork(other).start();
  expect(web.getNetworkNames().sort()).toContain(network.getName());
  expect(web.getNetworkId(network.getName())).toBe(network.getId());
  expect(client.getNetworkNames()).toEqual([network.getName()]);
  const ip = web.getIpAddress(network.getName());
  expect(await output(client, "wget -qO- http://web/; wget -qO- http://www/")).toBe("served\nserved");
  expect(await output(client, `wget -qO- http://${ip}/`)).toBe("served");
  expect(await output(web, "ping -c 1 -w 10 asks >/dev/null && echo reached")).toBe("reached");
  expect((await stranger.exec(["timeout", "5", "wget", "-qO-", "http://web/"])).exitCode).not.toBe(0);
  await expect(network.stop()).rejects.toThrow(/has active endpoints/);
  await Promise.all([web.stop(), client.stop(), stranger.stop()]);
  await Promise.all([network.stop(), other.stop()]);
  expect(await daemon.ok(["network", "ls", "-q", "--filter", "type=custom"])).toBe("");
}, 180_000);

test("bind mounts, for reading only too, and tmpfs", async () => {
  const [shared, fixed] = [join(folder, "shared"), join(folder, "fixed")];
  for (const path of [shared, fixed]) mkdirSync(path);
  writeFileSync(join(fixed, "file"), "fixed\n");
  await using container = await shell("exec sleep 1000")
    .withBindMounts([
      { source: shared, target: "/shared" },
      { source: fixed, target: "/fixed", mode: "ro" },
    ])
    .withTmpFs({ "/scratch": "rw,noexec,nosuid,size=65536k" })
    .start();
  expect(await output(container, "echo written >/shared/file; cat /fixed/file")).toBe("fixed");
  expect(readFileSync(join(shared, "file"), "utf8")).toBe("written\n");
  const refused = await container.exec(["sh", "-c", "echo x >/fixed/file"]);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("Read-only file system")]);
  expect(await output(container, "grep ' /scratch ' /proc/mounts")).toMatch(/^tmpfs .*noexec.*size=65536k/);
});

test("restart: the same container, other ports, ready again; stop: a grace, kept or removed", async () => {
  const script = `trap 'echo leaving; exit 0' TERM; echo "begun $(cat /count 2>/dev/null)"; echo again >/count; (${server}) & wait`;
  const container = await shell(script)
    .withExposedPorts(80)
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage("begun"), Wait.forListeningPorts()]))
    .withAutoRemove(false)
    .start();
  const id = container.getId();
  await container.restart({ timeout: 60_000 });
  expect(container.getId()).toBe(id);
  expect(await tryFetch(address(container, 80))).toBe("served\n");
  expect(await text(await container.logs(), "begun again\n")).toBe("begun \nleaving\nbegun again\n");
  const stopped = await container.stop({ timeout: 60_000 });
  expect(await daemon.ok(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", id])).toBe("exited 0");
  const chunks: Buffer[] = [];
  for await (const chunk of await stopped.copyArchiveFromContainer("/count")) chunks.push(chunk as Buffer);
  const kept = await run(["tar", "-xO"], { input: Buffer.concat(chunks) });
  expect(kept).toEqual({ code: 0, stdout: "again\n", stderr: "" });
  // What is stopped already is no error.
  await container.stop();
  await daemon.ok(["rm", id]);

  const deaf = await shell("trap '' TERM; echo deaf; while :; do sleep 1000; done")
    .withWaitStrategy(Wait.forLogMessage("deaf"))
    .start();
  await Promise.all([deaf.stop(), deaf.stop()]);
  expect(await containers()).toBe("");
}, 180_000);

test("reuse: the same container for whoever asks the same, running or not, and another one for another", async () => {
  const asked = (value: string) =>
    shell(server).withEnvironment({ VALUE: value }).withExposedPorts(80).withWaitStrategy(http()).withReuse();
  const [one, two] = await Promise.all([asked("a").start(), asked("a").start()]);
  expect(two.getId()).toBe(one.getId());
  const other = await asked("b").start();
  expect(other.getId()).not.toBe(one.getId());
  await one.stop({ remove: false, timeout: 0 });
  const again = await asked("a").start();
  expect(again.getId()).toBe(one.getId());
  expect(await tryFetch(address(again, 80))).toBe("served\n");
  await again.stop();
  const anew = await asked("a").start();
  expect(anew.getId()).not.toBe(one.getId());
}, 180_000);

test("commit: an image of what a container has become", async () => {
  await using container = await shell("exec sleep 1000").start();
  await output(container, "echo kept >/kept");
  const image = await container.commit({ repo: "committed", tag: "v1", changes: ['CMD ["cat", "/kept"]'] });
  expect(image).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await daemon.ok(["run", "--rm", "committed:v1"])).toBe("kept");
});

describe("a start that fails says why", () => {
  test("a command that is not there", async () => {
    const container = new GenericContainer("busybox").withCommand(["nosuch"]);
    await expect(container.start()).rejects.toThrow(/exec: "nosuch": executable file not found in \$PATH/);
    expect(await daemon.ok(["ps", "-a", "--format", "{{.State}}"])).toBe("created");
  });

  test("a port that is taken", async () => {
    await using first = await shell(server).withExposedPorts(80).start();
    const port = first.getMappedPort(80);
    const second = shell(server).withExposedPorts({ container: 80, host: port });
    await expect(second.start()).rejects.toThrow(
      new RegExp(`${port}.*(port is already allocated|address already in use)`),
    );
  });

  test("an image that is nowhere", async () => {
    const nowhere = new GenericContainer("localhost:1/none:latest");
    await expect(nowhere.start()).rejects.toThrow(/localhost:1/);
    expect(await containers()).toBe("");
  });

  test("a wait in vain, after which there is no container", async () => {
    const log = (text: string) => Wait.forLogMessage(text);
    // It ends at the first look: one that ended before its ports were looked up would be waited for in another way.
    const ends = shell("nc -l -p 80 </dev/null >/dev/null; echo the reason; exit 3").withExposedPorts(80);
    const look = Wait.forHttp("/", 80, { abortOnContainerExit: true }).withReadTimeout(500);
    const ill = shell("exec sleep 1000").withHealthCheck({
      test: ["CMD", "false"],
      interval: 50,
      retries: 2,
    });
    const vain = [
      [
        shell("exec sleep 1000").withStartupTimeout(300).withWaitStrategy(log("never")),
        'Log message "never" not received after 300ms',
      ],
      [
        shell("echo the reason; exit 3").withWaitStrategy(log("never")),
        'Log stream ended and message "never" was not received',
      ],
      [ends.withWaitStrategy(look), "Container exited during HTTP healthCheck, last 50 logs: the reason"],
      [ill.withWaitStrategy(Wait.forHealthCheck()), "Health check failed: unhealthy"],
      [shell("exit 3").withWaitStrategy(Wait.forOneShotStartup()), "Container failed to start for"],
    ] as const;
    await Promise.all(vain.map(([container, why]) => expect(container.start()).rejects.toThrow(why)));
    expect(await containers()).toBe("");
  }, 180_000);
});

const compose = process.env["TUG_COMPOSE"] || "/usr/bin/docker-compose";
const version = existsSync(compose) ? (await run([compose, "version", "--short"])).stdout : undefined;
if (version === undefined) console.log(`skipped: compose environments: there is no ${compose}`);
test.skipIf(version === undefined)(
  "compose environments: up with waits, exec, restart, stop and down",
  async () => {
    const path = join(folder, "compose");
    mkdirSync(path);
    // SIGKILL: nobody here would heed another.
    const service = { image: "busybox", stop_signal: "SIGKILL" };
    const web = { ...service, command: ["sh", "-c", server], ports: ["80"], environment: ["GIVEN"] };
    const idle = { ...service, command: ["sh", "-c", "echo asking; exec sleep 1000"] };
    const asks = { ...idle, volumes: ["data:/data"] };
    const extra = { ...asks, profiles: ["extra"] };
    const wrong = { ...service, image: "localhost:1/none", profiles: ["wrong"] };
    const project = { version: "3.9", services: { web, asks, extra, wrong }, volumes: { data: {} } };
    writeFileSync(join(path, "compose.yml"), JSON.stringify(project));
    const environment = () =>
      new DockerComposeEnvironment(path, "compose.yml")
        .withProjectName("suite")
        .withClientOptions({ executable: { standalone: true, executablePath: compose } })
        .withEnvironment({ GIVEN: "value" })
        .withStartupTimeout(60_000);
    const name = (of: string) => (version?.startsWith("1.") ? `suite_${of}_1` : `${of}-1`);
    const up = await environment()
      .withProfiles("extra")
      .withWaitStrategy(name("web"), http())
      .withWaitStrategy(name("asks"), Wait.forLogMessage("asking"))
      .up();
    const started = up.getContainer(name("web"));
    expect(await tryFetch(address(started, 80))).toBe("served\n");
    expect(await output(started, "echo $GIVEN")).toBe("value");
    expect(await output(up.getContainer(name("asks")), "wget -qO- http://web/")).toBe("served");
    expect(() => up.getContainer(name("wrong"))).toThrow("as it is not running");
    await started.restart();
    expect(await tryFetch(address(started, 80))).toBe("served\n");
    expect(await output(up.getContainer(name("extra")), "test -d /data && echo there")).toBe("there");
    await up.stop();
    expect(await daemon.ok(["ps", "-q"])).toBe("");
    await up.down();
    const left = () =>
      Promise.all([
        containers(),
        daemon.ok(["volume", "ls", "-q"]),
        daemon.ok(["network", "ls", "-qf", "type=custom"]),
      ]);
    expect(await left()).toEqual(["", "", ""]);
    // One that fails says why, and takes with it what it had started.
    await expect(environment().withProfiles("wrong").up()).rejects.toThrow(/localhost:1/);
    expect(await left()).toEqual(["", "", ""]);
  },
  180_000,
);

test("images from a Dockerfile: arguments, a target, what is left out, and a failure, by either builder", async () => {
  const context = join(folder, "context");
  mkdirSync(context);
  const lines = [
    "FROM busybox AS base",
    "ARG WHO=nobody",
    'RUN echo "made for $WHO" >/told',
    "FROM base AS wanted",
    "COPY . /context",
    'CMD ["sh", "-c", "cat /told; ls /context; exec sleep 1000"]',
    "FROM base AS broken",
    "RUN echo the reason; exit 9",
  ];
  writeFileSync(join(context, "Dockerfile.test"), lines.join("\n"));
  writeFileSync(join(context, ".dockerignore"), "left-out\n");
  for (const name of ["taken", "left-out"]) writeFileSync(join(context, name), name);
  const build = async (protocol: "classic" | "buildkit") => {
    const builder = () => {
      const made = GenericContainer.fromDockerfile(context, "Dockerfile.test").withBuildArgs({
        WHO: protocol,
      });
      return protocol === "classic" ? made : made.withBuildkit();
    };
    const image = await builder().withTarget("wanted").build(`${protocol}:v1`, { deleteOnExit: false });
    await using container = await image.withWaitStrategy(Wait.forLogMessage("taken")).start();
    const told = `made for ${protocol}\nDockerfile.test\ntaken`;
    expect(await output(container, "cat /told; ls /context")).toBe(told);
    // Without a name it gets one, and a label by which the reaper finds it.
    const unnamed = await builder().withTarget("wanted").withCache(false).build();
    await using second = await unnamed.withWaitStrategy(Wait.forLogMessage("taken")).start();
    expect(second.getLabels()["org.testcontainers.session-id"]).toMatch(/^[0-9a-f]+$/);
    const broken = builder().withTarget("broken").build(`${protocol}:broken`);
    await expect(broken).rejects.toThrow("Failed to build image");
  };
  await Promise.all([build("classic"), build("buildkit")]);
  expect(await containers()).toBe("");
  // At its end the builder lets go of what it keeps for some seconds for the next build.
  await daemon.restart();
}, 180_000);
