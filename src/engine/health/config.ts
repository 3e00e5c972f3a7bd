import type { ContainerConfig } from "../../base/spec/docker/api.gen.ts";
import type { TugHealthConfig } from "../../base/spec/docker/extensions.ts";

/** A container's health check with every default filled in; durations in milliseconds. */
export interface HealthCheck {
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
  /** What happens when the container becomes unhealthy. */
  readonly onFailure: "none" | "kill" | "restart" | "stop";
}

const nanosPerMs = 1_000_000;

/** What a container's configuration asks for; undefined when it has no check or says NONE. */
export function healthCheckOf(config: ContainerConfig): HealthCheck | undefined {
  const health: TugHealthConfig | undefined = config.Healthcheck;
  const [kind, ...rest] = health?.Test ?? [];
  if (!health || kind === undefined || kind === "NONE") return undefined;
  const shell = config.Shell && config.Shell.length > 0 ? config.Shell : ["/bin/sh", "-c"];
  const command = kind === "CMD" ? rest : kind === "CMD-SHELL" ? [...shell, ...rest] : [kind, ...rest];
  if (command.length === 0) return undefined;
  const ms = (nanos: number | undefined, fallback: number) => (nanos ? nanos / nanosPerMs : fallback);
  return {
    command,
    intervalMs: ms(health.Interval, 30_000),
    timeoutMs: ms(health.Timeout, 30_000),
    startPeriodMs: ms(health.StartPeriod, 0),
    startIntervalMs: ms(health.StartInterval, 5_000),
    retries: health.Retries || 3,
    onFailure: health.OnFailure ?? "none",
  };
}
