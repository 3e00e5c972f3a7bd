import { invalid } from "../../base/lib/errors.ts";
import type { TugHealthConfig } from "../../base/spec/docker/extensions.ts";
import type { ContainerOptions } from "./flags.ts";

/** The check that the --health options and --no-healthcheck ask for, if any. */
export function healthCheck(values: ContainerOptions): { Healthcheck?: TugHealthConfig } {
  const settings = [
    ["interval", "Interval"],
    ["timeout", "Timeout"],
    ["start-period", "StartPeriod"],
    ["start-interval", "StartInterval"],
    ["retries", "Retries"],
  ] as const;
  const action = values["health-on-failure"];
  const given =
    values["health-cmd"] !== "" ||
    action !== undefined ||
    settings.some(([name]) => values[`health-${name}`] !== 0);
  if (values["no-healthcheck"]) {
    if (given) throw invalid("--no-healthcheck conflicts with --health-* options");
    return { Healthcheck: { Test: ["NONE"] } };
  }
  if (!given) return {};
  const check: TugHealthConfig =
    values["health-cmd"] === "" ? {} : { Test: ["CMD-SHELL", values["health-cmd"]] };
  for (const [name, field] of settings) {
    const value = values[`health-${name}`];
    if (value < 0) throw invalid(`--health-${name} cannot be negative`);
    if (value !== 0) check[field] = value;
  }
  if (action !== undefined) check.OnFailure = action;
  return { Healthcheck: check };
}
