import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { messageOf } from "../../../base/lib/errors.ts";
import { type CgroupPaths, cgroupPathsFor } from "../../../base/sys/cgroup/cgroup.ts";
import {
  cgroupsPathOf,
  checkCgroupParent,
  PAYLOAD,
  scopePathOf,
} from "../../../core/runtime/cgroup-driver.ts";
import { scopeOf } from "../../../core/runtime/scope.ts";
import type { ExecDeps } from "./deps.ts";
import { Keeper } from "./keeper.ts";
import { stepsDirectory } from "./workspace.ts";

/** A step's cgroup: `own` is all of it and outlives the container, `container` is what the runtime is told. Below each tree's root. */
export interface StepCgroup {
  readonly own: string;
  readonly container: string;
}

/** The scope that a step's cgroups lie in; nothing where they lie in none. */
export function scopeAround(own: CgroupPaths): CgroupPaths {
  const above = Object.entries(own).map(([controller, path]) => [controller, posix.dirname(path)] as const);
  return Object.fromEntries(above.filter(([, path]) => path.endsWith(".scope")));
}

interface Place {
  /** What the steps' cgroups lie below; undefined where each finds its place by its own parent. */
  readonly scope: string | undefined;
  readonly keeper: Promise<Keeper>;
  users: number;
  /** No step is put here any more. */
  retired: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** So long a keeper and its scope wait for the next step. */
const IDLE_MS = 5000;

/**
 * The steps' cgroups and who watches over them. Where systemd owns the tree, all steps below one slice share a scope: beginning and ending
 * one takes two programs and four messages over D-Bus, as much time as a small step itself, and what the kernel counted in a step's cgroup
 * would go with the scope before anybody could read it. In a delegated scope cgroups are ours to make and to remove (systemd's
 * "CGROUP_DELEGATION").
 */
export class StepCgroups implements AsyncDisposable {
  readonly #deps: ExecDeps;
  readonly #idleMs: number;
  readonly #places = new Map<string, Place>();
  readonly #ending = new Set<Promise<void>>();

  constructor(deps: ExecDeps, idleMs = IDLE_MS) {
    this.#deps = deps;
    this.#idleMs = idleMs;
  }

  /** The cgroup of a step, watched over until the step is over. `parent` is --cgroup-parent, "" for the daemon's. */
  async acquire(id: string, parent: string): Promise<{ readonly cgroup: StepCgroup; release(): void }> {
    const { cgroups, hierarchy } = this.#deps;
    checkCgroupParent(cgroups.driver, parent);
    const place = await this.#place(cgroups.driver === "systemd" ? parent || cgroups.parent : "");
    const own = place.scope === undefined ? cgroupsPathOf(cgroups, parent, id) : posix.join(place.scope, id);
    // On v2 the runtime takes the container's away before anybody can read what was counted there; memory.events counts for those below
    // too (cgroup-v2.rst, "Memory Interface Files").
    const container = hierarchy.version === "v1" ? own : posix.join(own, PAYLOAD);
    return { cgroup: { own, container }, release: () => this.#release(place) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.#places.values()) this.#end(place);
    await Promise.all(this.#ending);
  }

  /** Counted before it is awaited: nobody ends it meanwhile. */
  async #place(key: string): Promise<Place> {
    for (;;) {
      const known = this.#places.get(key);
      const place = known ?? this.#begin(key);
      place.users++;
      clearTimeout(place.timer);
      try {
        if ((await place.keeper).runs) return place;
        // Somebody killed it.
        this.#retire(place);
      } catch (error) {
        this.#retire(place);
        throw error;
      } finally {
        if (place.retired) this.#release(place);
      }
    }
  }

  #begin(key: string): Place {
    const { root, cgroups, hierarchy, log } = this.#deps;
    const name = `build-${randomBytes(4).toString("hex")}`;
    const path = key === "" ? undefined : scopePathOf(cgroups, key, name);
    const scope = path === undefined ? undefined : scopeOf(cgroupPathsFor(hierarchy, path), name);
    const keeper = Keeper.start({ root, steps: stepsDirectory(root), scope, log });
    const place: Place = { scope: path, keeper, users: 0, retired: false, timer: undefined };
    this.#places.set(key, place);
    return place;
  }

  #release(place: Place): void {
    place.users--;
    if (place.users > 0) return;
    if (place.retired) this.#end(place);
    else place.timer = setTimeout(() => this.#end(place), this.#idleMs).unref();
  }

  #retire(place: Place): void {
    place.retired = true;
    for (const [key, one] of this.#places) if (one === place) this.#places.delete(key);
  }

  #end(place: Place): void {
    this.#retire(place);
    clearTimeout(place.timer);
    const work = place.keeper
      .then(
        (keeper) => keeper[Symbol.asyncDispose](),
        () => undefined, // told to who wanted a step there
      )
      .catch((error: unknown) =>
        this.#deps.log.warn("the keeper of build steps was not ended", { error: messageOf(error) }),
      )
      .finally(() => this.#ending.delete(work));
    this.#ending.add(work);
  }
}
