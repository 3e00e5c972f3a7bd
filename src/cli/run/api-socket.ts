import { tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";
import type { Client } from "../../client/client.ts";
import { putArchive } from "../../client/containers/archive-put.ts";
import type { CreateSpec } from "../../client/containers/create.ts";
import { allAuths } from "../config/credentials.ts";
import type { Context } from "../context.ts";

const socketInside = "/var/run/docker.sock";
const configInside = "/run/secrets/docker";

/** `--use-api-socket`: the daemon's socket inside, where Docker's clients look for it. */
export function withApiSocket(client: Client, spec: CreateSpec): CreateSpec {
  const source = client.address.kind === "unix" ? client.address.path : "/run/tug/tug.sock";
  const hasConfig = (spec.Env ?? []).some((item) => item.startsWith("DOCKER_CONFIG="));
  return {
    ...spec,
    Env: [...(spec.Env ?? []), ...(hasConfig ? [] : [`DOCKER_CONFIG=${configInside}`])],
    HostConfig: {
      ...spec.HostConfig,
      Mounts: [
        ...(spec.HostConfig.Mounts ?? []),
        { Type: "bind", Source: source, Target: socketInside, BindOptions: {} },
      ],
    },
  };
}

/** Puts the credentials of this user's registries into the created container, for the client inside. */
export async function copyCredentials(context: Context, client: Client, id: string): Promise<void> {
  const auths: Record<string, { auth: string } | { identitytoken: string }> = {};
  for (const [server, auth] of Object.entries(await allAuths(await context.config()))) {
    auths[server] = auth.identitytoken
      ? { identitytoken: auth.identitytoken }
      : { auth: Buffer.from(`${auth.username ?? ""}:${auth.password ?? ""}`).toString("base64") };
  }
  if (Object.keys(auths).length === 0) return;
  const data = Buffer.from(JSON.stringify({ auths }));
  const folders = ["run", "run/secrets", "run/secrets/docker"];
  const tar = Buffer.concat([
    ...folders.map((path) => tarHeader({ path, kind: "directory", mode: 0o755 })),
    tarHeader({ path: "run/secrets/docker/config.json", kind: "file", mode: 0o600, size: data.length }),
    data,
    tarPadding(data.length),
    tarTrailer,
  ]);
  await putArchive(client, id, "/", tar);
}
