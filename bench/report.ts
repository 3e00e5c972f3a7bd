import type { Engine } from "./engines.ts";
import type { Scenario } from "./measure.ts";

/** The medians of one scenario, by engine. */
export interface Result {
  readonly scenario: Scenario;
  readonly values: Readonly<Record<string, number>>;
}

/** One line for people: the medians, the ratios, and whether the goal is met. `earlier`: the scenarios before it. */
export function line(
  { scenario, values }: Result,
  engines: readonly Pick<Engine, "name">[],
  earlier: readonly Result[],
): string {
  const { tug, docker } = values;
  const show = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(value < 10 ? 2 : 1));
  const cells = engines.map((engine) => `${engine.name} ${show(values[engine.name])}`).join("  ");
  let verdict = "";
  if (tug !== undefined && docker !== undefined) verdict += `  tug/docker ${(tug / docker).toFixed(2)}`;
  if (tug !== undefined && values["podman"] !== undefined)
    verdict += `  tug/podman ${(tug / values["podman"]).toFixed(2)}`;
  verdict += growth(scenario, values, engines, earlier);
  const goal = scenario.goal;
  if (goal && tug !== undefined && (goal.absolute || docker !== undefined)) {
    const value = goal.absolute ? tug : tug / (docker ?? 1);
    const met = goal.at === "most" ? value <= goal.value : value >= goal.value;
    verdict += `  goal: at ${goal.at} ${goal.value.toFixed(2)}${goal.absolute ? ` ${scenario.unit}` : ""}: ${met ? "met" : "MISSED"}`;
  }
  return `${scenario.name.padEnd(28)} ${scenario.unit.padEnd(5)} ${cells}${verdict}`;
}

/** What this costs as a multiple of what an earlier scenario cost the same engine. */
function growth(
  { against }: Scenario,
  values: Result["values"],
  engines: readonly Pick<Engine, "name">[],
  results: readonly Result[],
): string {
  const earlier = results.find(({ scenario }) => scenario.name === against?.name);
  if (!against || !earlier) return "";
  const ratio = (name: string) => (values[name] ?? Number.NaN) / (earlier.values[name] ?? Number.NaN);
  const cells = engines.map(({ name }) => `${name} ${ratio(name).toFixed(2)}`).join(" ");
  const met = ratio("tug") <= against.atMost ? "met" : "MISSED";
  return `  grew: ${cells}  goal: tug at most ${against.atMost}: ${met}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}
