import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";

let daemon: TestDaemon;
let folder: string;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  folder = mkdtempSync("/tmp/tug-pipes-");
  mkdirSync(join(folder, "context"));
  writeFileSync(join(folder, "context", "file"), "content\n");
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await daemon.close();
}, 60_000);

function fifo(name: string): string {
  const path = join(folder, name);
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

const environment = () => ({ ...process.env, DOCKER_HOST: daemon.host, TUG: tugBinary });

/** What a bash script prints that runs `"$TUG" …`; both streams. */
async function bash(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = Bun.spawn(["bash", "-c", `exec 2>&1; ${script}`], {
    cwd: folder,
    env: { ...environment(), ...env },
    stdin: "ignore",
    stdout: "pipe",
  });
  return (await new Response(child.stdout).text()).trim();
}

test("what a shell hands over as <(…) is read: variables, labels, a seccomp profile, a secret", async () => {
  const created = await bash(
    `"$TUG" create --name piped --env-file <(printf 'ONE=1\\nTWO=2\\n') --label-file <(echo from=pipe) ` +
      `--security-opt seccomp=<(echo '{"defaultAction":"SCMP_ACT_ALLOW"}') busybox true`,
  );
  expect(created).toMatch(/^[0-9a-f]{64}$/);
  const shown = await daemon.ok([
    "inspect",
    "-f",
    "{{.Config.Env}} {{.Config.Labels.from}} {{.HostConfig.SecurityOpt}}",
    "piped",
  ]);
  expect(shown).toContain("ONE=1 TWO=2");
  expect(shown).toContain("pipe [seccomp={");
  await daemon.ok(["rm", "piped"]);
  expect(await bash(`"$TUG" secret create word <(printf open) && "$TUG" secret rm word`)).toContain("word");
});

test("a build reads its Dockerfile and its secrets from pipes, a secret also for several steps", async () => {
  const steps = ["one", "two"].map(
    (name) => `RUN --mount=type=secret,id=s,required=true cp /run/secrets/s /${name}`,
  );
  const lines = ["FROM busybox", "COPY file /", ...steps, "RUN cat /file /one /two > /all"];
  const dockerfile = `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")}`;
  const built = await bash(
    `"$TUG" build -q -t piped -f <(${dockerfile}) --secret id=s,src=<(printf word) context`,
  );
  expect(built).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await daemon.ok(["run", "--rm", "piped", "cat", "/all"])).toBe("content\nwordword");
  fifo("Dockerfile.pipe");
  fifo("secret.pipe");
  const named = await bash(
    `(${dockerfile}) > Dockerfile.pipe & printf other > secret.pipe & ` +
      `"$TUG" build -q -t piped -f Dockerfile.pipe --secret id=s,src=secret.pipe --no-cache context`,
  );
  expect(named).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await daemon.ok(["run", "--rm", "piped", "cat", "/all"])).toBe("content\notherother");
  await daemon.ok(["rmi", "piped"]);
}, 60_000);

test("waiting for a pipe that was named can be interrupted", async () => {
  const path = fifo("silent");
  const commands = [
    ["build", "-f", path, "context"],
    ["create", "--env-file", path, "busybox"],
  ];
  for (const command of commands) {
    const child = Bun.spawn([tugBinary, ...command], {
      cwd: folder,
      env: environment(),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    // It has come to the pipe when a writer finds a reader.
    const writer = Bun.spawn(["/bin/sh", "-c", `exec 3>"$0"; echo open; read x`, path], {
      stdin: "pipe",
      stdout: "pipe",
    });
    await writer.stdout.getReader().read();
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    writer.kill("SIGKILL");
    await writer.exited;
  }
});

test("what has no end or is no file is refused where settings are read, and costs a command at most a warning", async () => {
  for (const [option, words] of [
    ["--env-file /dev/zero", "larger than 64 MiB"],
    ["--label-file /", "is a directory"],
    [`--env-file ${daemon.socket}`, "no such device or address"],
  ] as const)
    expect(await bash(`"$TUG" create ${option} busybox`)).toContain(words);
  expect(await bash('"$TUG" build -f /dev/zero context')).toContain("larger than 4 MiB");
  expect(await bash(`"$TUG" build -f ${daemon.socket} context`)).toContain("no such device or address");
  const config = join(folder, "config");
  mkdirSync(config);
  const file = join(config, "config.json");
  for (const [make, words] of [
    [`mkfifo ${file}`, "it is a pipe, and nobody writes to it"],
    [`mknod ${file} c 1 5`, "larger than 64 MiB"],
    [`mkdir ${file}`, "is a directory"],
  ] as const) {
    const shown = await bash(`${make} && "$TUG" version -f '{{.Server.Os}}'; rm -r ${file}`, {
      DOCKER_CONFIG: config,
    });
    expect(shown).toContain(words);
    expect(shown).toContain("linux");
  }
});

test("a daemon whose daemon.json became a pipe that nobody writes to goes on when it is to read it again", async () => {
  const file = join(daemon.root, "daemon.json");
  rmSync(file);
  Bun.spawnSync(["mkfifo", file]);
  process.kill(daemon.pid, "SIGHUP");
  await eventually("it gave up", () => daemon.log.includes("it is a pipe, and nobody writes to it"));
  expect(await daemon.ok(["version", "-f", "{{.Server.Os}}"])).toBe("linux");
  // A pipe keeps what was written as long as somebody has it open.
  const kept = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  writeFileSync(file, '{"labels":["from=pipe"]}');
  process.kill(daemon.pid, "SIGHUP");
  await eventually("it read the pipe", () => daemon.log.includes("Reloaded configuration"));
  closeSync(kept);
  expect(await daemon.ok(["info", "-f", "{{.Labels}}"])).toBe("[from=pipe]");
  rmSync(file);
  writeFileSync(file, "{}");
});
