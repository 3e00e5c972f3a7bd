import type { IDResponse, SecretSpec } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** POST /secrets/create */
export async function createSecret(client: Client, spec: SecretSpec): Promise<string> {
  const reply = await client.json<{ readonly ID: string } & Partial<IDResponse>>({
    method: "POST",
    path: "/secrets/create",
    json: spec,
  });
  return reply.ID;
}
