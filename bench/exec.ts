import { Terminal } from "../test/harness/terminal.ts";
import type { Engine } from "./engines.ts";
import { command, detached, removeAll, type Scenario, timed } from "./measure.ts";

const container = "bench-exec";

/** One request to an engine's socket; its body, read to the end. */
async function request(engine: Engine, method: string, path: string, body?: object): Promise<string> {
  const reply = await fetch(`http://engine/v1.40${path}`, {
    unix: (engine.env["DOCKER_HOST"] ?? "").replace("unix://", ""),
    method,
    ...(body ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {}),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${engine.name} ${method} ${path}: ${reply.status} ${text}`);
  return text;
}

/** What the daemon alone takes for an attached exec: create, start and read to the end, ask for the exit code. */
async function overApi(engine: Engine): Promise<number> {
  const started = performance.now();
  const created: { Id: string } = JSON.parse(
    await request(engine, "POST", `/containers/${container}/exec`, {
      Cmd: ["true"],
      AttachStdout: true,
      AttachStderr: true,
    }),
  );
  await request(engine, "POST", `/exec/${created.Id}/start`, { Detach: false });
  const { ExitCode }: { ExitCode: number } = JSON.parse(
    await request(engine, "GET", `/exec/${created.Id}/json`),
  );
  if (ExitCode !== 0) throw new Error(`${engine.name}: the exec ended with ${ExitCode}`);
  return performance.now() - started;
}

async function inTerminal(engine: Engine): Promise<number> {
  const started = performance.now();
  const terminal = await Terminal.open([...engine.cli, "exec", "-it", container, "true"], engine.env);
  const code = await terminal.exited;
  const took = performance.now() - started;
  if (code !== 0) throw new Error(`${engine.name} exec -it: exit ${code}: ${terminal.text}`);
  return took;
}

const scenario = (name: string, measure: Scenario["measure"], rest: Partial<Scenario> = {}): Scenario => ({
  name,
  unit: "ms",
  rounds: 20,
  goal: { at: "most", value: 1 / 3 },
  prepare: async (engine) => void (await command(engine, detached(container))),
  measure,
  finish: removeAll,
  ...rest,
});

/** The CLI with its daemon, the same in a terminal, and the daemon alone. */
export const execScenarios: readonly Scenario[] = [
  scenario("exec", (engine) => timed(engine, ["exec", container, "true"])),
  scenario("exec -it", inTerminal),
  scenario("exec, API alone", overApi, { daemonOnly: true }),
];
