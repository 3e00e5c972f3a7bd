import { invalid, messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import { decompress } from "../../base/lib/compression/compression.ts";
import { TarError } from "../../base/lib/tar/entry.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import type { ContainerConfig } from "../../base/spec/docker/api.gen.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount.ts";
import { readMountInfo } from "../../base/sys/mountinfo.ts";
import { treeTar } from "../../core/snapshot/diff.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { lookupUser } from "../containers/user.ts";
import { type CommitDeps, type CommitOptions, commitContainer } from "./commit.ts";
import { openContainerRoot } from "./container-root.ts";
import { parseContainerPath } from "./path.ts";
import { type PathStat, statIn, toPathStat } from "./path-stat.ts";
import { archiveOf } from "./read-archive.ts";
import { tarStream } from "./tar-stream.ts";
import { ArchiveWriter } from "./write-archive.ts";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { randomId } from "../../base/lib/ids.ts";

export interface FilesServiceDeps {
  readonly containers: ContainerContext;
  readonly commit: CommitDeps;
}

/** Files of containers: cp in both directions, export, commit. */
export class FilesService {
  readonly #deps: FilesServiceDeps;

  constructor(deps: FilesServiceDeps) {
    this.#deps = deps;
  }

  async statPath(reference: string, path: string): Promise<PathStat> {
    const { containers } = this.#deps;
    const record = containers.store.resolve(reference);
    await using root = await openContainerRoot(containers, record);
    const asked = parseContainerPath(path);
    return toPathStat(root.dir, asked, statIn(root.dir, reference, asked));
  }

  async getArchive(
    reference: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: PathStat; readonly tar: ReadableStream<Uint8Array> }> {
    const { containers } = this.#deps;
    const record = containers.store.resolve(reference);
    await using stack = new AsyncDisposableStack();
    const root = stack.use(await openContainerRoot(containers, record));
    const asked = parseContainerPath(path);
    const stat = statIn(root.dir, reference, asked);
    const answer = toPathStat(root.dir, asked, stat);
    emitContainer(containers, record, "archive-path");
    const devices = kernelDevices(record);
    const owned = stack.move();
    return { stat: answer, tar: tarStream(archiveOf(root.dir, asked, stat, devices), owned, signal) };
  }

  async putArchive(
    reference: string,
    path: string,
    tar: ReadableStream<Uint8Array>,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUIDGID: boolean },
  ): Promise<void> {
    const { containers } = this.#deps;
    const record = containers.store.resolve(reference);
    const asked = parseContainerPath(path);
    await using root = await openContainerRoot(containers, record);
    const stat = statIn(root.dir, reference, { ...asked, follow: true });
    if (stat.kind !== "directory") throw invalid("extraction point is not a directory");
    refuseReadonly(record, asked.path);
    const owner = options.copyUIDGID ? ownerFor(root.dir, record) : undefined;
    using target = root.dir.sub(asked.path);
    using writer = new ArchiveWriter(target, { noOverwriteDirNonDir: options.noOverwriteDirNonDir, owner });
    const parser = new TarParser(writer);
    try {
      for await (const chunk of decompress(tar)) parser.push(chunk);
      parser.finish();
      writer.finish();
    } catch (error) {
      throw archiveFailure(error);
    }
    emitContainer(containers, record, "extract-to-dir");
  }

  async export(reference: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { containers } = this.#deps;
    const record = containers.store.resolve(reference);
    await using stack = new AsyncDisposableStack();
    let path = containers.paths.rootfs(record.id);
    if (!isAlive(record)) {
      path = join(containers.paths.dir(record.id), `files-${randomId().slice(0, 12)}`);
      await mkdir(path, { mode: 0o700 });
      stack.defer(() => rmdir(path));
      for (const mount of containers.snapshots.mounts(record.id)) mountSpec(mount, path);
      stack.defer(() => void unmountIfMounted(path));
    }
    emitContainer(containers, record, "export");
    return tarStream(treeTar(path), stack.move(), signal);
  }

  commit(reference: string, options: CommitOptions & { readonly config: ContainerConfig | undefined }) {
    const { containers, commit } = this.#deps;
    return commitContainer(containers, commit, containers.store.resolve(reference), options);
  }
}

/** File systems of the kernel that a container has mounted: no part of its files. */
function kernelDevices(record: ContainerRecord): ReadonlySet<string> {
  if (!isAlive(record)) return new Set();
  const types = new Set(["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs"]);
  return new Set(
    readMountInfo(record.state.pid)
      .filter((mount) => types.has(mount.type))
      .map((mount) => mount.device),
  );
}

function refuseReadonly(record: ContainerRecord, path: string): void {
  const within = (target: string) => path === target || path.startsWith(`${target}/`);
  const mount = record.definition.mounts
    .filter((one) => within(one.target))
    .sort((a, b) => b.target.length - a.target.length)[0];
  if (mount?.readonly) throw new TugError("forbidden", "mounted volume is marked read-only");
  if (!mount && record.definition.host.ReadonlyRootfs) {
    throw new TugError("forbidden", "container rootfs is marked read-only");
  }
}

function ownerFor(root: Parameters<typeof lookupUser>[0], record: ContainerRecord) {
  const user = record.definition.config.User ?? "";
  if (user === "") return undefined;
  const { uid, gid } = lookupUser(root, user, []);
  return { uid, gid };
}

function archiveFailure(error: unknown): unknown {
  if (error instanceof TarError) return invalid(`unable to process archive: ${messageOf(error)}`, error);
  if (error instanceof SystemError && error.code === "ENOENT") return notFound(messageOf(error), error);
  if (error instanceof SystemError && error.code === "EROFS") {
    return new TugError("forbidden", "container rootfs is marked read-only", { cause: error });
  }
  if (error instanceof SystemError && error.code === "ENOSPC") {
    return new TugError("resource-exhausted", messageOf(error), { cause: error });
  }
  return error;
}
