import type { ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { OciProcess, OciSpec } from "../../core/runtime/runtime.ts";
import type { GenerateExecProcess } from "../../core/runtime/spec.ts";
import { lookupUser } from "../../core/runtime/user.ts";
import type { ContainerContext } from "../containers/context.ts";
import type { ContainerRecord } from "../containers/record.ts";

export interface ExecProcessDeps {
  readonly containers: ContainerContext;
  readonly generate: GenerateExecProcess;
  /** The spec a container was created with. */
  readonly specOf: (record: ContainerRecord) => Promise<OciSpec>;
}

/** The process that a request asks for, as the runtime is told of it: what it leaves open is the container's. */
export async function execProcess(
  { containers, generate, specOf }: ExecProcessDeps,
  record: ContainerRecord,
  request: ExecCreateRequest,
  consoleSize: readonly [number, number] | undefined,
): Promise<OciProcess> {
  const container = await specOf(record);
  const { config, host } = record.definition;
  const user = request.User || config.User || "";
  const size = consoleSize ?? request.ConsoleSize ?? undefined;
  using root = RootedDir.open(containers.paths.rootfs(record.id));
  const found = lookupUser(root, user, host.GroupAdd ?? []);
  return generate({
    container,
    args: request.Cmd ?? [],
    env: execEnv(container, request, found.home),
    cwd: request.WorkingDir || undefined,
    tty: request.Tty ?? false,
    user: { uid: found.uid, gid: found.gid, additionalGids: found.additionalGids },
    privileged: request.Privileged ?? false,
    kernel: containers.facts,
    ...(size ? { consoleSize: size } : {}),
  });
}

/** The container's environment under the request's; HOME follows another user. */
function execEnv(container: OciSpec, request: ExecCreateRequest, home: string): readonly string[] {
  const env = new Map<string, string>();
  const put = (entry: string) => {
    const at = entry.indexOf("=");
    if (at < 0) env.delete(entry);
    else env.set(entry.slice(0, at), entry);
  };
  for (const entry of container.process?.env ?? []) put(entry);
  if (request.User) env.set("HOME", `HOME=${home}`);
  if (request.Tty && !env.has("TERM")) env.set("TERM", "TERM=xterm");
  for (const entry of request.Env ?? []) put(entry);
  return [...env.values()];
}
