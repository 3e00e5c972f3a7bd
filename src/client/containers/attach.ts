import { type Client, segment } from "../client.ts";
import type { Connection } from "../http/connection.ts";
import type { Head } from "../http/response.ts";

/** Which streams to attach; `logs` replays what was written so far. */
export interface AttachOptions {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly logs?: boolean;
  readonly detachKeys?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** POST /containers/{id}/attach, taken over as a raw stream. */
export async function attachContainer(
  client: Client,
  id: string,
  options: AttachOptions,
): Promise<{ readonly head: Head; readonly stream: Connection }> {
  return await client.hijack({
    method: "POST",
    path: `/containers/${segment(id)}/attach`,
    query: {
      stream: true,
      stdin: options.stdin,
      stdout: options.stdout,
      stderr: options.stderr,
      logs: options.logs,
      detachKeys: options.detachKeys || undefined,
    },
    contentType: "text/plain",
    signal: options.signal,
  });
}
