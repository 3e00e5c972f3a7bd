import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../base/lib/clock.ts";
import { type ContainerId, randomId } from "../../../base/lib/ids.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import { UnreadableRecords } from "../../../base/store/unreadable.ts";
import { openDatabase } from "../../../base/store/database.ts";
import { enterNetworkNamespace, openNetworkNamespace } from "../../../base/sys/net/netns.ts";
import type { NetworkConfig } from "../config.ts";
import type { Endpoint, EndpointRequest, Network, NetworkService, NetworkSpec, Sandbox } from "../network.ts";
import { createNetworkService } from "../service.ts";

/** A fake container: a process in a network namespace of its own. */
export interface FakeContainer extends Sandbox {
  readonly name: string;
  /** Runs a command inside and returns its output, whatever its exit code. */
  run(...command: readonly string[]): string;
  /** Starts a command inside; killed with the container. */
  spawn(...command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe">;
  kill(): Promise<void>;
}

export const hostAddress = "192.0.2.2";
export const neighbourAddress = "192.0.2.7";

/**
 * A host of its own for the tests: a namespace with one interface on a LAN and a neighbour there, so that neither the machine's
 * firewall nor other engines on it have a say. The test's thread lives on it until dispose.
 */
export class TestHost implements AsyncDisposable {
  readonly #namespaces: Bun.Subprocess[] = [];
  readonly #undo = new DisposableStack();
  #neighbour = 0;

  static async start(): Promise<TestHost> {
    const host = new TestHost();
    const pid = await host.#namespace();
    host.#neighbour = await host.#namespace();
    const netns = host.#undo.use(openNetworkNamespace(pid));
    host.#undo.use(enterNetworkNamespace(netns.fd));
    const ip = (command: string) => {
      const result = Bun.spawnSync(["ip", ...command.split(" ")], { stderr: "pipe" });
      if (!result.success) throw new Error(`ip ${command}: ${result.stderr.toString()}`);
    };
    ip("link set lo up");
    ip(`link add lan0 type veth peer name lan0 netns ${host.#neighbour}`);
    ip(`addr add ${hostAddress}/24 dev lan0`);
    ip("addr add 2001:db8::2/64 dev lan0 nodad");
    ip("link set lan0 up");
    host.neighbour("ip", "addr", "add", `${neighbourAddress}/24`, "dev", "lan0");
    host.neighbour("ip", "addr", "add", "2001:db8::7/64", "dev", "lan0", "nodad");
    host.neighbour("ip", "link", "set", "lan0", "up");
    host.neighbour("ip", "link", "set", "lo", "up");
    // Known to each other from the start: the kernel asks for a neighbour only once a second.
    const mac = (show: string) => /link\/ether (\S+)/.exec(show)?.[1] ?? "";
    const theirs = mac(host.neighbour("ip", "link", "show", "lan0"));
    const ours = mac(Bun.spawnSync(["ip", "link", "show", "lan0"]).stdout.toString());
    ip(`neigh replace 2001:db8::7 lladdr ${theirs} dev lan0`);
    host.neighbour("ip", "neigh", "replace", "2001:db8::2", "lladdr", ours, "dev", "lan0");
    return host;
  }

  async #namespace(): Promise<number> {
    const child = await startNamespace();
    this.#namespaces.push(child);
    return child.pid;
  }

  /** Starts a name server that gives every name the address `answer`: on the host, or on the neighbour for its address. */
  async serveNames(address: string, answer: string): Promise<void> {
    const there = address === neighbourAddress ? ["nsenter", "-t", String(this.#neighbour), "-n"] : [];
    const server = Bun.spawn([...there, process.execPath, join(import.meta.dir, "dns-server.ts"), address, answer], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#namespaces.push(server);
    await server.stdout.getReader().read();
  }

  /** Runs a command on the neighbour. */
  neighbour(...command: readonly string[]): string {
    const result = Bun.spawnSync(["nsenter", "-t", String(this.#neighbour), "-n", ...command], { stderr: "pipe" });
    return result.stdout.toString() + result.stderr.toString();
  }

  /** Starts a command on the neighbour, ended with the host. */
  neighbourSpawn(...command: readonly string[]): void {
    const enter = ["nsenter", "-t", String(this.#neighbour), "-n", ...command];
    this.#namespaces.push(Bun.spawn(enter, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#undo.dispose();
    for (const child of this.#namespaces) child.kill("SIGKILL");
    await Promise.all(this.#namespaces.map((child) => child.exited));
  }
}

async function startNamespace() {
  // The namespace exists once the inner program has written its line.
  const child = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 600"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  await child.stdout.getReader().read();
  return child;
}

/** A daemon's network service on its own names and subnets, and containers to plug into it. Everything is undone by dispose. */
export class NetworkBench implements AsyncDisposable {
  readonly instance = `tugtest-${randomId().slice(0, 6)}`;
  readonly root = mkdtempSync(join(tmpdir(), "tug-net-"));
  readonly config: NetworkConfig;
  readonly containers: FakeContainer[] = [];
  service: NetworkService;

  constructor(config: Partial<NetworkConfig> = {}) {
    const hostResolvConf = join(this.root, "resolv.conf");
    writeFileSync(hostResolvConf, "nameserver 127.0.0.53\n");
    this.config = { defaultBridge: this.instance.replace("tugtest-", "tt"), hostResolvConf, ...config };
    this.service = this.open();
  }

  open(): NetworkService {
    return createNetworkService({
      database: openDatabase(join(this.root, "network.db"), { durable: false }),
      unreadable: new UnreadableRecords(),
      clock: systemClock,
      log: silentLog,
      instance: this.instance,
      config: this.config,
      execRoot: this.root,
      helperCommand: [process.execPath, join(import.meta.dir, "../../../helper/main.ts")],
    });
  }

  /** A daemon that starts again on the same records. */
  async restart(): Promise<void> {
    await this.service.shutdown({ everything: false });
    this.service = this.open();
    await this.service.restore(new Map(this.containers.map((one) => [one.containerId, one])));
  }

  /** Gives a running container an endpoint on a network. */
  async plug(container: FakeContainer, network: Network, more: Partial<EndpointRequest> = {}): Promise<Endpoint> {
    return await this.service.attach(await this.service.allocate(endpointRequest(container, network, more)), container);
  }

  async container(name: string): Promise<FakeContainer> {
    const child = await startNamespace();
    const enter = (command: readonly string[]) => ["nsenter", "-t", String(child.pid), "-n", ...command];
    const children: Bun.Subprocess[] = [];
    const container: FakeContainer = {
      name,
      containerId: randomId() as ContainerId,
      pid: child.pid,
      run: (...command) => {
        const result = Bun.spawnSync(enter(command), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
        return result.stdout.toString() + result.stderr.toString();
      },
      spawn: (...command) => {
        const started = Bun.spawn(enter(command), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
        children.push(started);
        return started;
      },
      kill: async () => {
        for (const one of children) one.kill("SIGKILL");
        child.kill("SIGKILL");
        await Promise.all([child.exited, ...children.map((one) => one.exited)]);
      },
    };
    this.containers.push(container);
    return container;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.service.shutdown({ everything: true });
    } finally {
      for (const container of this.containers) await container.kill();
      rmSync(this.root, { recursive: true, force: true });
    }
  }
}

/** A network as `docker network create <name>` asks for it. */
export function networkSpec(name: string, more: Partial<NetworkSpec> = {}): NetworkSpec {
  return {
    name,
    driver: "bridge",
    options: {},
    labels: {},
    internal: false,
    attachable: false,
    enableIPv4: true,
    enableIPv6: false,
    ipam: { driver: "default", options: {}, config: [] },
    ...more,
  };
}

/** An endpoint as `docker run --network <network>` asks for it. */
export function endpointRequest(
  container: FakeContainer,
  network: { readonly id: EndpointRequest["network"] },
  more: Partial<EndpointRequest> = {},
): EndpointRequest {
  return {
    network: network.id,
    containerId: container.containerId,
    containerName: container.name,
    hostname: "",
    aliases: [],
    ports: [],
    ...more,
  };
}

/** Waits until something listens on a TCP port where `run` runs commands. */
export async function listening(run: (...command: readonly string[]) => string, port: number, family: 4 | 6 = 4): Promise<void> {
  await until(() => run("ss", "-Hltn", `-${family}`, `sport = :${port}`) !== "");
}

/** A TCP server inside a container that answers every connection with one line. */
export async function serve(container: FakeContainer, port: number, line: string, family: 4 | 6 = 4): Promise<void> {
  const listen = family === 4 ? `TCP4-LISTEN:${port},fork,reuseaddr` : `TCP6-LISTEN:${port},fork,reuseaddr,ipv6-v6only`;
  container.spawn("socat", listen, `SYSTEM:echo ${line} from $SOCAT_PEERADDR`);
  await listening(container.run, port, family);
}

/**
 * Seconds for an answer that is to come: the kernel opens a new bridge for traffic up to a second after its first port came up, what it
 * dropped until then is sent again a second later, and a busy machine is slow.
 */
const patient = 10;

/** Seconds for an answer that is not to come: where packets are dropped nothing else tells. */
export const briefly = 0.3;

function asking(address: string, port: number, seconds: number): readonly string[] {
  const target = address.includes(":") ? `TCP6:[${address}]:${port}` : `TCP4:${address}:${port}`;
  const answer = Math.max(seconds, 1);
  return ["sh", "-c", `socat -T${answer} -u ${target},connect-timeout=${seconds} - 2>/dev/null`];
}

/** What a client on the host reads from address:port; "" when it is refused, or not answered within `seconds`. */
export function ask(address: string, port: number, seconds = patient): string {
  return Bun.spawnSync([...asking(address, port, seconds)]).stdout.toString().trim();
}

/** The same from inside a container. */
export function askFrom(container: FakeContainer, address: string, port: number, seconds = patient): string {
  return container.run(...asking(address, port, seconds)).trim();
}

/** The same from the neighbour. */
export function askNeighbour(host: TestHost, address: string, port: number, seconds = patient): string {
  return host.neighbour(...asking(address, port, seconds)).trim();
}
