import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { invalid, notFound } from "../../../base/lib/errors.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ExecMount } from "../../graph.ts";
import { bindOf, hostId, type MountContext, makeDirectory } from "./mount-context.ts";
import type { SecretValue } from "./secret-scan.ts";

type SecretMount = Extract<ExecMount, { kind: "secret" }>;

export interface MountedSecret extends SecretValue {
  readonly mount: SpecMount | undefined;
  readonly env: string | undefined;
}

const DIRECTORY = "secrets";

/**
 * `--mount=type=secret`: the value in a tmpfs of the step's own, which is never on a disk, or in the environment. Undefined for one that
 * the client does not have and the step can do without.
 */
export async function secretMount(
  context: MountContext,
  mount: SecretMount,
  name: string,
): Promise<MountedSecret | undefined> {
  const value = await context.step.session.secret(mount.id);
  if (value === undefined) {
    if (mount.required) throw notFound(`secret ${mount.id}: not found`);
    return undefined;
  }
  return {
    id: mount.id,
    value,
    mount: mount.target === undefined ? undefined : secretFile(context, mount, mount.target, { name, value }),
    env: mount.env === undefined ? undefined : `${mount.env}=${text(mount, value)}`,
  };
}

function secretFile(
  context: MountContext,
  mount: SecretMount,
  target: string,
  file: { readonly name: string; readonly value: Uint8Array },
): SpecMount {
  const directory = secretsDirectory(context);
  const path = join(directory, file.name);
  writeFileSync(path, file.value, { mode: 0o400, flag: "wx" });
  chownSync(path, hostId(context.deps, "uid", mount.uid), hostId(context.deps, "gid", mount.gid));
  chmodSync(path, mount.mode & 0o7777);
  const bind = bindOf(target, path, true);
  return { ...bind, options: [...bind.options, "nosuid", "nodev", "noexec"] };
}

/** Mounted when the first secret comes. */
function secretsDirectory(context: MountContext): string {
  const path = join(context.work.directory, DIRECTORY);
  if (context.tmpfs.has(path)) return path;
  makeDirectory(context, DIRECTORY);
  const options = ["nosuid", "noexec", "nodev", "mode=0711"];
  mountSpec({ type: "tmpfs", source: "secrets", options }, path);
  context.undo.defer(() => void unmountIfMounted(path));
  context.tmpfs.add(path);
  return path;
}

function text(mount: SecretMount, value: Uint8Array): string {
  if (value.includes(0))
    throw invalid(`secret ${mount.id} holds a NUL byte and cannot be in the environment`);
  return Buffer.from(value).toString("utf8");
}
