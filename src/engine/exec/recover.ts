import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ExecId } from "../../base/lib/ids.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import type { TaskExit } from "../../core/runtime/runtime.ts";
import type { ContainerContext } from "../containers/context.ts";
import type { ContainerRecord } from "../containers/record.ts";
import type { ExecNote } from "./exec-record.ts";
import { type ExecTable, execDirs } from "./table.ts";

export interface ExecRecovery {
  readonly containers: ContainerContext;
  readonly execs: ExecTable;
  /** Tells of one that ended while there was no daemon. */
  readonly exited: (exit: TaskExit) => void;
}

/** Answers for the execs that the daemon before this one started. */
export async function recoverExecs(recovery: ExecRecovery): Promise<void> {
  const { paths, store, log } = recovery.containers;
  for (const record of [...store.list()]) {
    const directory = join(paths.task(record.id).state, "exec");
    // Most have none.
    const ids = await readdir(directory).catch(() => []);
    for (const id of ids) {
      await adopt(recovery, record, id as ExecId).catch((error: unknown) =>
        log.error("could not recover an exec", { id, error }),
      );
    }
  }
}

async function adopt(
  { containers, execs, exited }: ExecRecovery,
  record: ContainerRecord,
  id: ExecId,
): Promise<void> {
  const { runtime, clock } = containers;
  const dirs = execDirs(containers, record, id);
  const { note, ...seen } = await runtime.observe(id, dirs);
  const known = note === undefined ? undefined : (JSON.parse(note) as ExecNote);
  if (!known || known.own) {
    await runtime.delete(id, { force: true });
    await removeDirectory(dirs.state);
    return;
  }
  const exec = execs.add(record, id, known);
  exec.state = "running";
  if (seen.status === "running") {
    exec.pid = seen.pid;
    return;
  }
  // As for a task whose monitor died: nobody knows how it ended.
  const unknown = { exitCode: 255, at: BigInt(clock.now()) * 1_000_000n, oomKilled: false };
  exited({ id, ...(seen.status === "exited" ? seen : unknown) });
}
