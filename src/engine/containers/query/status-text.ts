import { humanDuration } from "../../../base/lib/human-duration.ts";
import { parseRfc3339 } from "../../../base/lib/timestamp.ts";
import { type ContainerRecord, type ContainerStateRecord, zeroTime } from "../record.ts";

/** The STATUS column: "Up 3 seconds", "Exited (0) 2 minutes ago", … */
export function statusText(state: ContainerStateRecord, nowMs: number): string {
  const since = (time: string) => {
    const at = parseRfc3339(time);
    return humanDuration(at === undefined ? 0 : nowMs - Number(at / 1_000_000n));
  };
  switch (state.status) {
    case "running":
      return `Up ${since(state.startedAt)}${healthSuffix(state)}`;
    case "paused":
      return `Up ${since(state.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "created":
      return "Created";
    case "exited":
      return state.finishedAt === zeroTime ? "" : `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

function healthSuffix(state: ContainerStateRecord): string {
  if (!state.health) return "";
  return state.health.status === "starting" ? " (health: starting)" : ` (${state.health.status})`;
}

/** "none" for a container without checks, as the health filter and the API name it. */
export function healthStatus(record: ContainerRecord): "none" | "starting" | "healthy" | "unhealthy" {
  return record.state.health?.status ?? "none";
}
