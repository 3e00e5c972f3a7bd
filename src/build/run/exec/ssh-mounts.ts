import { chmodSync, chownSync } from "node:fs";
import { join } from "node:path";
import { notFound } from "../../../base/lib/errors.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecMount } from "../../graph.ts";
import { forwardAgent } from "../agent-socket.ts";
import { bindOf, hostId, type MountContext, makeDirectory } from "./mount-context.ts";

type SshMount = Extract<ExecMount, { kind: "ssh" }>;

/** `--mount=type=ssh`: a socket whose connections go to the client's agent. Undefined when it forwards none and the step can do without. */
export async function sshMount(
  context: MountContext,
  mount: SshMount,
  name: string,
): Promise<SpecMount | undefined> {
  const { step, deps, undo } = context;
  if (!(await step.session.hasSsh(mount.id))) {
    if (mount.required) throw notFound(`no SSH key ${JSON.stringify(mount.id)} forwarded from the client`);
    return undefined;
  }
  const path = join(makeDirectory(context, "ssh"), name);
  undo.use(
    await forwardAgent({ session: step.session, log: deps.log }, mount.id, {
      directory: join(path, ".."),
      name,
    }),
  );
  chownSync(path, hostId(deps, "uid", mount.uid), hostId(deps, "gid", mount.gid));
  chmodSync(path, mount.mode & 0o7777);
  // Connecting to a socket takes the right to write to it, not a writable mount.
  return bindOf(mount.target, path, true);
}
