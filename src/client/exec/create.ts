import type { IDResponse } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

export interface ExecSpec {
  readonly User?: string;
  readonly Privileged?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly [number, number];
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly DetachKeys?: string;
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Cmd: readonly string[];
}

/** POST /containers/{id}/exec */
export async function createExec(client: Client, container: string, spec: ExecSpec): Promise<string> {
  const reply = await client.json<IDResponse>({
    method: "POST",
    path: `/containers/${segment(container)}/exec`,
    json: spec,
  });
  return reply.Id;
}
