import type { SystemVersion } from "../../base/spec/docker/api.gen.ts";
import type { SystemServiceDeps } from "./deps.ts";
import { machineInfo } from "./host.ts";

/** GET /version: the engine and the programs it drives. */
export async function systemVersion(deps: SystemServiceDeps): Promise<SystemVersion> {
  const { facts, host } = deps;
  const { kernelVersion } = machineInfo();
  const engine = {
    ApiVersion: facts.apiVersion,
    Arch: host.architecture,
    BuildTime: facts.buildTime,
    Experimental: String(facts.experimental),
    GitCommit: facts.gitCommit,
    GoVersion: `bun${Bun.version}`,
    KernelVersion: kernelVersion,
    MinAPIVersion: facts.minApiVersion,
    Os: "linux",
  };
  const others = await Promise.all(
    deps.components.map(async (component) => ({
      Name: component.name,
      Version: await component.version(),
      ...(component.details ? { Details: { ...component.details } } : {}),
    })),
  );
  return {
    Platform: { Name: "Tug" },
    Components: [{ Name: "Engine", Version: facts.version, Details: engine }, ...others],
    Version: facts.version,
    ApiVersion: facts.apiVersion,
    MinAPIVersion: facts.minApiVersion,
    GitCommit: facts.gitCommit,
    GoVersion: engine.GoVersion,
    Os: "linux",
    Arch: host.architecture,
    KernelVersion: kernelVersion,
    ...(facts.experimental ? { Experimental: true } : {}),
    BuildTime: facts.buildTime,
  };
}
