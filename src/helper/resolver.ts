import { writeSync } from "node:fs";
import { messageOf } from "../base/lib/errors.ts";
import { EventLoop, type Timer } from "../base/sys/epoll.ts";
import { LowDescriptors } from "../base/sys/low-descriptors.ts";
import type { DnsContainer, DnsRequest } from "../core/network/dns/protocol.ts";
import { Zone } from "../core/network/dns/zone.ts";
import { ControlSocket } from "./resolver-control.ts";
import { SandboxResolver } from "./resolver-sandbox.ts";
import { Upstream } from "./resolver-upstream.ts";

/** With nothing to serve it stays a little, for `run --rm` in a row; without a daemon either it goes at once. */
const linger = 10_000;

/** After the first query since the last collection. */
const tidyInterval = 3000;

/**
 * The resolver of user-defined networks: one process for all containers of a daemon, living as long as there is one on such a
 * network, whether the daemon lives or not. `resolver <socket> [<resolv.conf of the host>]`: prints "ready" once it can be connected to.
 */
export async function runResolver(args: readonly string[]): Promise<number> {
  const [path, hostFile = "/etc/resolv.conf"] = args;
  if (path === undefined) {
    console.error("usage: resolver <socket> [<resolv.conf>]");
    return 64;
  }
  // The terminal or service manager that ends the daemon must not end this: names go on without it.
  process.on("SIGHUP", () => undefined);
  process.on("SIGINT", () => undefined);
  using loop = new EventLoop((error) => console.error(`resolver: ${messageOf(error)}`));
  using low = new LowDescriptors();
  const zone = new Zone();
  const upstream = new Upstream(loop, hostFile);
  const sandboxes = new Map<string, { readonly key: string; readonly sandbox: SandboxResolver }>();

  // The engine collects garbage at leisure by timers of its own event loop, which stands still here.
  let tidying: Timer | undefined;
  const tidyLater = () => {
    if (tidying) return;
    tidying = loop.after(tidyInterval, () => {
      tidying = undefined;
      Bun.gc(true);
    });
  };
  const drop = (id: string) => {
    sandboxes.get(id)?.sandbox[Symbol.dispose]();
    sandboxes.delete(id);
    zone.delete(id);
    idle();
  };
  const put = (container: DnsContainer) => {
    const key = `${container.pid} ${container.startTime}`;
    const existing = sandboxes.get(container.id);
    if (existing?.key !== key) {
      if (existing) drop(container.id);
      const sandbox = new SandboxResolver(container, {
        loop,
        zone,
        upstream,
        low,
        onQuery: tidyLater,
        onGone: () => drop(container.id),
      });
      sandboxes.set(container.id, { key, sandbox });
    }
    zone.put(container);
    idle();
  };
  const sync = (containers: readonly DnsContainer[]) => {
    const wanted = new Set(containers.map((container) => container.id));
    for (const id of zone.ids()) if (!wanted.has(id)) drop(id);
    const problems: string[] = [];
    for (const container of containers) {
      try {
        put(container);
      } catch (error) {
        problems.push(`${container.id}: ${messageOf(error)}`);
      }
    }
    if (problems.length > 0) throw new Error(problems.join("; "));
  };
  const handle = (request: DnsRequest) => {
    if (request.op === "sync") sync(request.containers);
    else if (request.op === "put") put(request.container);
    else if (request.op === "drop") drop(request.id);
    else if (request.op === "exit") loop.after(0, () => loop.stop());
  };

  let timer: Timer | undefined;
  const idle = () => {
    timer?.cancel();
    timer = undefined;
    if (zone.size > 0) return;
    timer = loop.after(control && control.clients === 0 ? 0 : linger, () => loop.stop());
  };
  let control: ControlSocket | undefined;
  try {
    control = new ControlSocket(loop, path, handle, idle);
  } catch (error) {
    console.error(`resolver: ${messageOf(error)}`);
    return 1;
  }
  timer = loop.after(linger, () => loop.stop());
  writeSync(1, "ready\n");
  loop.run();
  for (const { sandbox } of sandboxes.values()) sandbox[Symbol.dispose]();
  control[Symbol.dispose]();
  return 0;
}
