import type { AuthResponse } from "../../base/spec/docker/api.gen.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { Client } from "../client.ts";

/** POST /auth: asks a registry, through the daemon, whether credentials hold. */
export async function checkAuth(client: Client, auth: AuthConfig): Promise<AuthResponse> {
  return await client.json({ method: "POST", path: "/auth", json: auth });
}
