import { posix } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecMount } from "../../graph.ts";
import type { MountContext, StepMounts } from "./mount-context.ts";
import { secretMount } from "./secret-mounts.ts";
import type { SecretValue } from "./secret-scan.ts";
import { sshMount } from "./ssh-mounts.ts";
import { bindMount, cacheMount, cacheOrder } from "./tree-mounts.ts";

/** Makes everything that a step mounts ready on the host. */
export async function prepareMounts(context: MountContext): Promise<StepMounts> {
  const { mounts: asked } = context.step.op;
  const made = new Map<ExecMount, SpecMount>();
  const env: string[] = [];
  let agent: string | undefined;
  const secrets: SecretValue[] = [];
  const named = asked.map((mount, index) => ({ mount, name: String(index) }));
  // Waiting for another step's cache comes first: nothing else is held meanwhile.
  const caches = named.flatMap(({ mount, name }) => (mount.kind === "cache" ? [{ mount, name }] : []));
  for (const { mount, name } of caches.sort((a, b) => cacheOrder(a.mount, b.mount)))
    made.set(mount, await cacheMount(context, mount, name));
  for (const { mount, name } of named) {
    switch (mount.kind) {
      case "cache":
        break;
      case "bind":
        made.set(mount, await bindMount(context, mount, name));
        break;
      case "tmpfs":
        made.set(mount, tmpfsMount(mount));
        break;
      case "secret": {
        const secret = await secretMount(context, mount, name);
        if (!secret) break;
        secrets.push(secret);
        if (secret.mount) made.set(mount, secret.mount);
        if (secret.env !== undefined) env.push(secret.env);
        break;
      }
      case "ssh": {
        const socket = await sshMount(context, mount, name);
        if (!socket) break;
        agent ??= `SSH_AUTH_SOCK=${socket.target}`;
        made.set(mount, socket);
        break;
      }
      default:
        throw internal(`a mount of an unknown kind: ${JSON.stringify(mount satisfies never)}`);
    }
  }
  // In the order of the step, where later ones lie on top.
  const mounts = asked.flatMap((mount) => made.get(mount) ?? []);
  return { mounts: mounts.map((mount) => ({ ...mount, target: clean(mount.target) })), env, agent, secrets };
}

function tmpfsMount({ target, size }: Extract<ExecMount, { kind: "tmpfs" }>): SpecMount {
  const options = ["exec", "dev", ...(size > 0 ? [`size=${size}`] : [])];
  return { type: "tmpfs", target, source: "tmpfs", readonly: false, options };
}

/** Absolute, without "..": nothing lies above a step's root. */
function clean(target: string): string {
  return posix.join("/", target).replace(/(.)\/+$/, "$1");
}
