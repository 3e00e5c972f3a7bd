import { expect, test } from "bun:test";
import { silentLog } from "../base/lib/log.ts";
import type { SystemInfo } from "../base/spec/docker/api.gen.ts";
import { serveMetrics } from "./metrics.ts";

const info = async (): Promise<SystemInfo> => ({
  ContainersRunning: 2,
  ContainersStopped: 1,
  NCPU: 4,
  OperatingSystem: 'An "OS"\\ of\nlines',
});

test("metrics are served in Prometheus' text format under dockerd's names, and nothing else is", async () => {
  const listener = serveMetrics("127.0.0.1:0", { info, log: silentLog, execRoot: "/run" });
  try {
    const base = listener.url.replace("tcp://", "http://");
    const reply = await fetch(`${base}/metrics`);
    expect(reply.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    const lines = (await reply.text()).split("\n");
    expect(lines).toContain('engine_daemon_container_states_containers{state="running"} 2');
    expect(lines).toContain("# TYPE engine_daemon_engine_cpus_cpus gauge");
    expect(lines).toContain("engine_daemon_engine_cpus_cpus 4");
    expect(lines.find((line) => line.startsWith("engine_daemon_engine_info{"))).toContain(
      'os="An \\"OS\\"\\\\ of\\nlines"',
    );
    // Every line is a comment or a sample.
    const sample = /^[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+$/;
    expect(lines.filter((line) => line !== "" && !line.startsWith("# ") && !sample.test(line))).toEqual([]);
    for (const path of ["/", "/info", "/metrics/x"]) expect((await fetch(base + path)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: "POST" })).status).toBe(404);
  } finally {
    await listener.close(0);
  }
  expect(() => serveMetrics("unix:///x", { info, log: silentLog, execRoot: "/run" })).toThrow(
    "failed to start metrics server",
  );
  expect(() => serveMetrics("192.0.2.1:9323", { info, log: silentLog, execRoot: "/run" })).toThrow(
    "failed to start metrics server",
  );
});
