import { type Client, segment } from "../client.ts";

export interface ExecState {
  readonly ID: string;
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly Pid?: number;
}

/** GET /exec/{id}/json */
export async function inspectExec(client: Client, id: string): Promise<ExecState> {
  return await client.json({ method: "GET", path: `/exec/${segment(id, "exec")}/json` });
}
