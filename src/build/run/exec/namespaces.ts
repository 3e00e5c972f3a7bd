import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { internal, invalid, messageOf, notFound } from "../../../base/lib/errors.ts";
import { type ContainerId, randomId } from "../../../base/lib/ids.ts";
import type { StepNetwork } from "../../../base/spec/builder/request.ts";
import { writeIdMaps } from "../../../base/sys/mount/idmap.ts";
import { inNetworkNamespace, openNetworkNamespace } from "../../../base/sys/net/netns.ts";
import type { Endpoint, Network } from "../../../core/network/network.ts";
import type { ExecDeps, JoinableNetwork } from "./deps.ts";

/** A network namespace for steps, and the user namespace it belongs to when ids are mapped. */
export interface StepNamespace {
  readonly network: string;
  readonly user: string | undefined;
  /** What it is plumbed into; undefined: it is a container's. */
  readonly plumbed: { readonly of: Network; readonly endpoint: Endpoint } | undefined;
  readonly joined: JoinableNetwork | undefined;
}

interface Kept extends StepNamespace {
  readonly plumbed: { readonly of: Network; readonly endpoint: Endpoint };
  readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** So long one is kept after its step for the next. */
const IDLE_MS = 5000;
const MOST_IDLE = 8;

/**
 * Network namespaces for steps. Making and plumbing one costs as much as all the rest of a small step, so those of the default network that are no
 * longer used wait a few seconds for the next step, as BuildKit keeps a pool of its own. Nothing of a step stays in one: its processes and
 * their sockets are gone, and without CAP_NET_ADMIN it could change nothing in it; one that could is not used again.
 *
 * A shell holds each, waiting for the end of a pipe: it ends with the daemon, and with it the namespace.
 */
export class StepNamespaces implements AsyncDisposable {
  readonly #deps: ExecDeps;
  readonly #idleMs: number;
  readonly #idle: Kept[] = [];
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor(deps: ExecDeps, idleMs = IDLE_MS) {
    this.#deps = deps;
    this.#idleMs = idleMs;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** What a step of that network runs in; undefined: in none that was there before it. */
  async acquire(network: StepNetwork): Promise<StepNamespace | undefined> {
    if (network === "host" || network === "none") return undefined;
    const [kind, name] = splitOnce(network);
    if (kind === "container") return this.#join(name);
    if (kind === "network") return await this.#make(this.#deps.networks.resolve(name));
    return await this.#default();
  }

  #join(container: string): StepNamespace {
    const joined = this.#deps.joinable(container);
    const path = (kind: string) => `/proc/${joined.pid}/ns/${kind}`;
    const user = this.#deps.remap ? path("user") : undefined;
    return { network: path("net"), user, plumbed: undefined, joined };
  }

  async #default(): Promise<StepNamespace> {
    for (let kept = this.#idle.pop(); kept; kept = this.#idle.pop()) {
      clearTimeout(kept.timer);
      if (kept.child.exitCode === null && kept.child.signalCode === null) return kept;
      this.#end(kept);
    }
    return await this.#make(this.#network());
  }

  /** `reusable`: the step could not have changed anything in it. Resolves when one that is not kept has left its network: it may be removed then. */
  async release(namespace: StepNamespace, reusable: boolean): Promise<void> {
    if (!namespace.plumbed) return;
    const kept = namespace as Kept;
    const ordinary = kept.plumbed.of.name === this.#deps.defaults.network;
    if (!reusable || !ordinary || this.#closed || this.#idle.length >= MOST_IDLE || this.#idleMs === 0) {
      await this.#end(kept);
      return;
    }
    kept.timer = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(kept), 1);
      this.#end(kept);
    }, this.#idleMs);
    kept.timer.unref();
    this.#idle.push(kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const kept of this.#idle.splice(0)) {
      clearTimeout(kept.timer);
      this.#end(kept);
    }
    await Promise.all(this.#ending);
  }

  async #make(network: Network): Promise<Kept> {
    const { networks, defaults, remap } = this.#deps;
    if (network.driver === "host" || network.driver === "null")
      throw invalid(`steps are not attached to the network ${network.name}: say host or none`);
    await using undo = new AsyncDisposableStack();
    const child = Bun.spawn(
      ["unshare", ...(remap ? ["--user"] : []), "--net", "--", "sh", "-c", "echo ready; read -r end"],
      { stdio: ["pipe", "pipe", "pipe"], cwd: "/", detached: true },
    );
    child.unref();
    undo.defer(() => void child.kill("SIGKILL"));
    const containerId = randomId() as ContainerId;
    const endpoint = await networks.allocate({
      network: network.id,
      containerId,
      containerName: `build-${randomBytes(6).toString("hex")}`,
      hostname: "",
      aliases: [],
      ports: [],
      dns: { servers: defaults.dns, options: defaults.dnsOptions, search: defaults.dnsSearch },
    });
    undo.defer(() => networks.release(endpoint));
    await ready(child);
    if (remap) writeIdMaps(child.pid, remap.maps);
    this.#setSysctls(child.pid);
    const attached = await networks.attach(endpoint, { containerId, pid: child.pid });
    undo.move();
    return {
      child,
      network: `/proc/${child.pid}/ns/net`,
      user: remap ? `/proc/${child.pid}/ns/user` : undefined,
      plumbed: { of: network, endpoint: attached },
      joined: undefined,
      timer: undefined,
    };
  }

  #network(): Network {
    const { networks, defaults } = this.#deps;
    try {
      return networks.resolve(defaults.network);
    } catch (error) {
      throw notFound(
        `RUN needs the network ${defaults.network}, which this daemon does not have: build with --network none or host`,
        error,
      );
    }
  }

  /** Those that the runtime sets where it makes the namespace itself. */
  #setSysctls(pid: number): void {
    const { facts, remap } = this.#deps;
    using netns = openNetworkNamespace(pid);
    inNetworkNamespace(netns.fd, () => {
      for (const [name, value] of Object.entries(facts.defaultSysctls)) {
        // A range of groups that the user namespace does not map is refused by the kernel.
        if (remap && name === "net.ipv4.ping_group_range") continue;
        writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, value);
      }
    });
  }

  #end(kept: Kept): Promise<void> {
    const work = (async () => {
      kept.child.stdin.end();
      kept.child.kill("SIGKILL");
      await kept.child.exited;
      await this.#deps.networks.release(kept.plumbed.endpoint);
    })()
      .catch((error: unknown) =>
        this.#deps.log.warn("a build's network was not released", { error: messageOf(error) }),
      )
      .finally(() => this.#ending.delete(work));
    this.#ending.add(work);
    return work;
  }
}

function splitOnce(network: string): readonly [string, string] {
  const colon = network.indexOf(":");
  return colon < 0 ? [network, ""] : [network.slice(0, colon), network.slice(colon + 1)];
}

async function ready(child: Bun.Subprocess<"pipe", "pipe", "pipe">): Promise<void> {
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  await reader.cancel();
  if (done) throw internal(`no network namespace could be made: ${(await child.stderr.text()).trim()}`);
}
