import { type Client, segment } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";

export interface LogsOptions {
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  readonly details?: boolean;
  /** Seconds since the epoch with a fraction, as Docker's API takes it. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly tail?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** GET /containers/{id}/logs: the body is framed unless the container has a terminal. */
export async function containerLogs(client: Client, id: string, options: LogsOptions): Promise<HttpReply> {
  const { signal, since, until, tail, ...flags } = options;
  return await client.send({
    method: "GET",
    path: `/containers/${segment(id)}/logs`,
    query: { ...flags, since: since || undefined, until: until || undefined, tail: tail || undefined },
    signal,
  });
}
