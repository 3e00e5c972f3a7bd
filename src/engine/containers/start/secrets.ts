import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { invalid, isCode, messageOf } from "../../../base/lib/errors.ts";
import type { SecretReference, TugHostConfig } from "../../../base/spec/docker/extensions.ts";
import { mountSpec, unmountIfMounted } from "../../../base/sys/mount/mount.ts";
import type { SpecMount } from "../../../core/runtime/spec.ts";
import type { ContainerContext } from "../context.ts";
import type { ContainerRecord } from "../record.ts";
import type { SecretSource } from "../secret-source.ts";
import { giveTo, remapOf } from "./remap.ts";

const defaultMode = 0o400;
const directory = "/run/secrets";

/** Where a running container's secrets lie on the host: a tmpfs, which is never on a disk. */
export function secretsPath(context: ContainerContext, record: ContainerRecord): string {
  return join(context.paths.task(record.id).state, "secrets");
}

/** Checks references at create and pins them by id, so that a later secret of the same name is another one. */
export function planSecrets(
  source: SecretSource,
  references: readonly SecretReference[],
): readonly SecretReference[] {
  const targets = new Set<string>();
  return references.map((reference) => {
    const { id, name } = resolve(source, reference.Source);
    const target = targetOf(reference.Target || name);
    if (targets.has(target)) throw invalid(`duplicate secret target for ${target} not allowed`);
    targets.add(target);
    for (const owner of [reference.UID, reference.GID]) {
      if (owner && !(/^\d{1,10}$/.test(owner) && Number(owner) < 2 ** 31)) {
        throw invalid(`invalid owner of secret ${name}: ${owner}`);
      }
    }
    return { ...reference, Source: id, Target: target };
  });
}

/** A missing one is a mistake in the request: a client takes not-found for a missing image and would pull it. */
function resolve(source: SecretSource, reference: string): { readonly id: string; readonly name: string } {
  try {
    return source.resolve(reference);
  } catch (error) {
    if (isCode(error, "not-found")) throw invalid(messageOf(error), error);
    throw error;
  }
}

/** Relative names lie below /run/secrets and cannot leave it. */
function targetOf(text: string): string {
  const clean = posix.normalize(text);
  if (clean.startsWith("..") || clean === "." || clean === "/" || text.endsWith("/")) {
    throw invalid(`invalid secret target: ${JSON.stringify(text)}`);
  }
  return clean.startsWith("/") ? clean : `${directory}/${clean}`;
}

/** Decrypts a container's secrets into a tmpfs of its own; gone when it stops. */
export function mountSecrets(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): readonly SpecMount[] {
  const references = (record.definition.host as TugHostConfig).Secrets ?? [];
  if (references.length === 0) return [];
  const root = secretsPath(context, record);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  unmountIfMounted(root);
  mountSpec({ type: "tmpfs", source: "secrets", options: ["nosuid", "noexec", "nodev", "mode=0700"] }, root);
  undo.defer(() => void unmountIfMounted(root));
  const remap = remapOf(context, record.definition.host);
  giveTo(remap, root);
  const shared = join(root, "run");
  mkdirSync(shared, { mode: 0o755 });
  const mounts: SpecMount[] = [];
  const readonly = {
    type: "bind",
    readonly: true,
    options: ["rbind", "rprivate", "ro-non-recursive"],
  } as const;
  for (const [index, reference] of references.entries()) {
    const target = reference.Target ?? "";
    const below = target.startsWith(`${directory}/`);
    const path = below ? join(shared, target.slice(directory.length)) : join(root, `file-${index}`);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, context.secrets.reveal(reference.Source), { mode: 0o400 });
    giveTo(remap, path, Number(reference.UID ?? "0"), Number(reference.GID ?? "0"));
    chmodSync(path, reference.Mode ?? defaultMode);
    if (!below) mounts.push({ ...readonly, target, source: path });
  }
  if (references.some((reference) => reference.Target?.startsWith(`${directory}/`))) {
    mounts.unshift({ ...readonly, target: directory, source: shared });
  }
  return mounts;
}
