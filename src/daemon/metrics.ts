import { readdirSync, readFileSync } from "node:fs";
import { type Listener, listen } from "../base/http/listener.ts";
import { invalid, messageOf } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";
import type { SystemInfo } from "../base/spec/docker/api.gen.ts";
import { parseHost } from "./config/host.ts";

/** What Prometheus reads of this process itself, by the names of its client libraries. */
export interface ProcessFigures {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openFds: number;
  readonly startTimeSeconds: number;
}

/** `--metrics-addr`: GET /metrics on an address of its own, without TLS, as dockerd has it. Nothing else is served there. */
export function serveMetrics(
  address: string,
  parts: { readonly info: () => Promise<SystemInfo>; readonly log: Log; readonly execRoot: string },
): Listener {
  const at = parseHost(address, { tls: false, execRoot: parts.execRoot });
  if (at.kind !== "tcp") throw invalid(`failed to start metrics server: ${address} is not host:port`);
  const started = Date.now() / 1000 - process.uptime();
  try {
    return listen(at, {
      log: parts.log,
      handler: async (exchange) => {
        const found = exchange.method === "GET" && exchange.path === "/metrics";
        const text = found ? metricsText(await parts.info(), ownFigures(started)) : "404 page not found\n";
        exchange.send(
          found ? 200 : 404,
          { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
          text,
        );
      },
    });
  } catch (error) {
    throw invalid(`failed to start metrics server: ${messageOf(error)}`, error);
  }
}

/** The text format of Prometheus (exposition format 0.0.4), with dockerd's names where dockerd has the figure. */
function metricsText(info: SystemInfo, own: ProcessFigures): string {
  const about = {
    architecture: info.Architecture,
    daemon_id: info.ID,
    graphdriver: info.Driver,
    kernel: info.KernelVersion,
    os: info.OperatingSystem,
    os_type: info.OSType,
    os_version: info.OSVersion,
    version: info.ServerVersion,
  };
  const states = "engine_daemon_container_states_containers";
  const rows: readonly (readonly [name: string, kind: string, help: string, values: readonly string[]])[] = [
    [
      states,
      "gauge",
      "The count of containers in various states",
      [
        `{state="paused"} ${info.ContainersPaused ?? 0}`,
        `{state="running"} ${info.ContainersRunning ?? 0}`,
        `{state="stopped"} ${info.ContainersStopped ?? 0}`,
      ],
    ],
    [
      "engine_daemon_engine_info",
      "gauge",
      "The information related to the engine and the OS it is running on",
      [
        `{${Object.entries(about)
          .map(([key, value]) => `${key}=${label(value ?? "")}`)
          .join(",")}} 1`,
      ],
    ],
    [
      "engine_daemon_engine_cpus_cpus",
      "gauge",
      "The number of cpus that the host system of the engine has",
      [` ${info.NCPU ?? 0}`],
    ],
    [
      "engine_daemon_engine_memory_bytes",
      "gauge",
      "The number of bytes of memory that the host system of the engine has",
      [` ${info.MemTotal ?? 0}`],
    ],
    [
      "engine_daemon_events_subscribers_total",
      "gauge",
      "The number of current subscribers to events",
      [` ${info.NEventsListener ?? 0}`],
    ],
    ["engine_daemon_images", "gauge", "The number of images", [` ${info.Images ?? 0}`]],
    [
      "process_cpu_seconds_total",
      "counter",
      "Total user and system CPU time spent in seconds",
      [` ${own.cpuSeconds}`],
    ],
    ["process_open_fds", "gauge", "Number of open file descriptors", [` ${own.openFds}`]],
    ["process_resident_memory_bytes", "gauge", "Resident memory size in bytes", [` ${own.residentBytes}`]],
    [
      "process_start_time_seconds",
      "gauge",
      "Start time of the process since unix epoch in seconds",
      [` ${own.startTimeSeconds}`],
    ],
  ];
  return rows
    .map(([name, kind, help, values]) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${kind}`,
        ...values.map((value) => `${name}${value}`),
        "",
      ].join("\n"),
    )
    .join("");
}

const label = (text: string) =>
  `"${text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')}"`;

function ownFigures(startTimeSeconds: number): ProcessFigures {
  const { user, system } = process.cpuUsage();
  const pages = Number(readFileSync("/proc/self/statm", "latin1").split(" ")[1] ?? 0);
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: pages * 4096,
    openFds: readdirSync("/proc/self/fd").length,
    startTimeSeconds,
  };
}
