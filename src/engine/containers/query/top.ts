import { conflict, internal, invalid, TugError } from "../../../base/lib/errors.ts";
import type { ContainerTopResponse } from "../../../base/spec/docker/api.gen.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { isAlive } from "../record.ts";

/** `docker top`: the host's ps over the pids of the container's cgroup; nothing inside the container is run or trusted. */
export async function topContainer(
  context: ContainerContext,
  reference: string,
  psArgs: string,
): Promise<ContainerTopResponse> {
  const record = context.store.resolve(reference);
  if (record.state.status === "restarting") {
    throw conflict(`container ${record.id} is restarting, wait until the container is running`);
  }
  if (!isAlive(record)) throw conflict(`container ${record.id} is not running`);
  const args = splitArgs(psArgs || "-ef");
  const pids = await context.runtime.pids(record.id);
  if (pids.length === 0) throw conflict(`container ${record.id} is not running`);
  // Some formats cannot be combined with -q; then all of ps is filtered by its PID column.
  const narrowed = await runPs([...args, "-q", pids.join(",")]);
  const output = narrowed.code === 0 ? narrowed : await runPs(args);
  if (output.code !== 0) throw internal(`ps: ${firstLine(output.stderr) || `exit status ${output.code}`}`);
  const processes = parsePs(output.stdout, new Set(pids));
  emitContainer(context, record, "top");
  return processes;
}

/** The rest of what ps says is its usage. */
function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}

/** Words as a shell without expansions would see them; ps never gets a file or a formatter that hides the PID column. */
function splitArgs(text: string): readonly string[] {
  const args = text.split(/\s+/).filter(Boolean);
  for (const word of args) {
    const renamed = /(?:^|,)-?o?([a-z]*pid)=(.*)/i.exec(word);
    if (
      renamed &&
      renamed[1]?.toLowerCase() === "pid" &&
      renamed[2] !== "" &&
      !/pid/i.test(renamed[2] ?? "")
    ) {
      throw invalid(`specifying "${renamed[1]}=${renamed[2]}" is not allowed`);
    }
  }
  return args;
}

async function runPs(
  args: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  try {
    const child = Bun.spawn(["ps", ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C.UTF-8", COLUMNS: "4096" },
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  } catch (error) {
    throw new TugError("not-implemented", "top needs the ps program on the host", { cause: error });
  }
}

/** Pure: titles, and the rows whose PID is one of the container's; the last column keeps its spaces. */
export function parsePs(output: string, pids: ReadonlySet<number>): ContainerTopResponse {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const titles = (lines[0] ?? "").trim().split(/\s+/);
  const pidColumn = titles.indexOf("PID");
  if (pidColumn < 0) throw internal("Couldn't find PID field in ps output");
  const processes: string[][] = [];
  for (const line of lines.slice(1)) {
    const words = line.trim().split(/\s+/);
    if (!pids.has(Number(words[pidColumn]))) continue;
    const last = titles.length - 1;
    processes.push([...words.slice(0, last), words.slice(last).join(" ")]);
  }
  return { Titles: titles, Processes: processes };
}
