import { readFileSync } from "node:fs";
import type { ContainerId, ImageId } from "../../base/lib/ids.ts";
import type { ContainerSummary } from "../../base/spec/docker/api.gen.ts";
import type { CheckedContainer } from "../system/check/finding.ts";
import type { ContainerContext } from "./context.ts";
import { listContainers } from "./query/list.ts";
import { type ContainerRecord, isAlive, isRunning } from "./record.ts";

/** What images and the system service ask about containers as a whole. */
export class ContainerCensus {
  readonly #context: ContainerContext;
  constructor(context: ContainerContext) {
    this.#context = context;
  }

  counts(): { readonly total: number; readonly running: number; readonly paused: number } {
    let running = 0;
    let paused = 0;
    for (const record of this.#context.store.list()) {
      if (record.state.status === "paused") paused++;
      else if (isRunning(record)) running++;
    }
    return { total: this.#context.store.size, running, paused };
  }

  withSizes(): Promise<readonly ContainerSummary[]> {
    return listContainers(this.#context, { all: true, limit: 0, size: true, filters: {} });
  }

  /** Every container as `system check` looks at it. */
  list(): readonly CheckedContainer[] {
    return [...this.#context.store.list()].map((record) => ({
      id: record.id,
      name: record.name,
      running: isAlive(record),
      driver: record.definition.driver,
      volumes: record.definition.mounts.flatMap((one) => (one.type === "volume" ? [one.name] : [])),
    }));
  }

  setAside(): ReadonlySet<string> {
    return this.#context.store.setAside;
  }

  /** What is wrong with a running container's process, root file system or interfaces. */
  async problemOf(id: string): Promise<string | undefined> {
    const before = this.#context.store.get(id as ContainerId);
    if (!before || !isAlive(before)) return undefined;
    const seen = await this.#context.runtime.observe(id, this.#context.paths.task(before.id));
    const problem =
      seen.status === "running"
        ? taskProblem(seen.pid, before)
        : "its process is gone and its end was not noticed";
    // It may have ended, and been recorded so, while this was looked at.
    const now = this.#context.store.get(before.id);
    return now && isAlive(now) && now.state.startedAt === before.state.startedAt ? problem : undefined;
  }

  /** Containers made from an image, or that mount it. */
  usersOf(image: ImageId): readonly { readonly id: string; readonly running: boolean }[] {
    const users: { id: string; running: boolean }[] = [];
    for (const record of this.#context.store.list()) {
      const { imageId, mounts } = record.definition;
      const uses = imageId === image || mounts.some((one) => one.type === "image" && one.imageId === image);
      if (uses) users.push({ id: record.id, running: isRunning(record) });
    }
    return users;
  }
}

/** Its root file system and its network namespace, through /proc/<pid>. */
function taskProblem(pid: number, record: ContainerRecord): string | undefined {
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
  if (!mounts.some((line) => line.split(" ")[4] === "/")) return "its root file system is not mounted";
  const wanted = Object.values(record.state.endpoints).filter(
    ({ attached, ipv4, ipv6 }) => attached && (ipv4 !== "" || ipv6 !== ""),
  ).length;
  const interfaces = readFileSync(`/proc/${pid}/net/dev`, "utf8").match(/^\s*eth\d+:/gm)?.length ?? 0;
  return interfaces < wanted ? `it has ${interfaces} network interfaces instead of ${wanted}` : undefined;
}
