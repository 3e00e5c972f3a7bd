import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

interface Stats {
  readonly read: string;
  readonly preread: string;
  readonly name: string;
  readonly pids_stats: { readonly current?: number };
  readonly cpu_stats: {
    readonly cpu_usage: { readonly total_usage: number };
    readonly system_cpu_usage?: number;
  };
  readonly precpu_stats: {
    readonly cpu_usage: { readonly total_usage: number };
    readonly system_cpu_usage?: number;
  };
  readonly memory_stats: { readonly usage?: number; readonly limit?: number };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number }>>;
}

const sample = async (name: string, query: string) => {
  const reply = await daemon.api("GET", `/containers/${name}/stats?stream=false${query}`);
  expect(reply.status).toBe(200);
  return reply.body as Stats;
};

test("a sample has figures of processor, memory, processes and network, and the one before for rates", async () => {
  await daemon.ok(["run", "-d", "--name", "busy", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done"]);
  const one = await sample("busy", "");
  expect(one).toMatchObject({ name: "/busy", pids_stats: { current: 1 }, memory_stats: { limit: 64 << 20 } });
  const used = one.cpu_stats.cpu_usage.total_usage - one.precpu_stats.cpu_usage.total_usage;
  expect(used).toBeGreaterThan(0);
  expect((one.cpu_stats.system_cpu_usage ?? 0) - (one.precpu_stats.system_cpu_usage ?? 0)).toBeGreaterThan(0);
  expect(one.memory_stats.usage).toBeGreaterThan(0);
  expect(Object.keys(one.networks ?? {})).toEqual(["eth0"]);
  const shot = await sample("busy", "&one-shot=true");
  expect(shot.precpu_stats.cpu_usage.total_usage).toBe(0);
  const line = await daemon.ok(["stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.PIDs}}"]);
  expect(line).toMatch(/^busy [1-9][\d.]*% 1$/);
});

test("a container that does not run has zeros, an unknown one is an error", async () => {
  await daemon.ok(["create", "--name", "still", "busybox"]);
  const zero = await sample("still", "");
  expect(zero.read).toBe("0001-01-01T00:00:00Z");
  expect(zero.cpu_stats.cpu_usage.total_usage).toBe(0);
  expect((await daemon.api("GET", "/containers/nope/stats?stream=false")).status).toBe(404);
});

test("a stream goes on over stop and start and ends with the container", async () => {
  await daemon.ok(["run", "-d", "--name", "cc", "--network", "none", "busybox", "sleep", "1000"]);
  const reply = await fetch("http://tug/containers/cc/stats?stream=true", { unix: daemon.socket });
  if (!reply.body) throw new Error("no body");
  const samples: Stats[] = [];
  let rest = "";
  let phase: "runs" | "stopped" | "removed" = "runs";
  for await (const chunk of reply.body) {
    const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
    rest = lines.pop() ?? "";
    samples.push(...lines.filter(Boolean).map((line) => JSON.parse(line) as Stats));
    if (samples.length >= 2 && phase === "runs") {
      phase = "stopped";
      await daemon.ok(["stop", "-t", "0", "cc"]);
    } else if (samples.at(-1)?.pids_stats.current === undefined && phase === "stopped") {
      phase = "removed";
      await daemon.ok(["rm", "cc"]);
    }
  }
  expect(phase).toBe("removed");
}, 120_000);

test("many watched at once cost one look a second each and leave nothing behind", async () => {
  const names = Array.from({ length: 10 }, (_, n) => `many${n}`);
  await Promise.all(
    names.map((name) =>
      daemon.ok(["run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "1000"]),
    ),
  );
  // One after the other, the looks would take as long as all of them together.
  const looks = (await Promise.all(names.map((name) => sample(name, "")))).map(({ read, preread }) => ({
    from: Date.parse(preread),
    to: Date.parse(read),
  }));
  const alone = looks.reduce((sum, { from, to }) => sum + to - from, 0);
  expect(alone).toBeGreaterThan(names.length * 900);
  const [first, last] = [Math.min(...looks.map(({ from }) => from)), Math.max(...looks.map(({ to }) => to))];
  expect(last - first).toBeLessThan(alone);
  // A client that asked for one after the other would wait for ever: nobody is answered before all have been asked for.
  const socket = join(daemon.root, "together.sock");
  const asked = new Set<string>();
  const { promise: all, resolve } = Promise.withResolvers<void>();
  using _server = Bun.serve({
    unix: socket,
    fetch: async (request, server) => {
      server.timeout(request, 0);
      const { pathname, search } = new URL(request.url);
      if (pathname.endsWith("/stats") && asked.add(pathname).size === names.length) resolve();
      if (pathname.endsWith("/stats")) await all;
      const { method } = request;
      return await fetch(`http://tug${pathname}${search}`, { unix: daemon.socket, method, keepalive: false });
    },
  });
  const lines = await daemon.ok(["-H", `unix://${socket}`, "stats", "--no-stream", "--format", "{{.Name}}"]);
  expect(lines.split("\n").sort()).toEqual(names.sort());
}, 120_000);
