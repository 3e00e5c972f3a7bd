import { type Client, segment } from "../client.ts";
import type { Connection } from "../http/connection.ts";
import type { Head } from "../http/response.ts";

export interface ExecStart {
  readonly Tty: boolean;
  readonly ConsoleSize?: readonly [number, number];
}

/** POST /exec/{id}/start, attached: the reply becomes a raw stream. */
export async function startExec(
  client: Client,
  id: string,
  start: ExecStart,
  signal?: AbortSignal,
): Promise<{ readonly head: Head; readonly stream: Connection }> {
  return await client.hijack({
    method: "POST",
    path: `/exec/${segment(id, "exec")}/start`,
    json: { ...start, Detach: false },
    signal,
  });
}

/** The same without streams: returns once the process runs. */
export async function startExecDetached(client: Client, id: string, start: ExecStart): Promise<void> {
  await client.text({
    method: "POST",
    path: `/exec/${segment(id, "exec")}/start`,
    json: { ...start, Detach: true },
  });
}
