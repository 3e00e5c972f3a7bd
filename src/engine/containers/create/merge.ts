import type { ContainerConfig } from "../../../base/spec/docker/api.gen.ts";
import type { TugHealthConfig } from "../../../base/spec/docker/extensions.ts";
import type { ImageRunConfig } from "../../../base/spec/oci/image.ts";

/** Lays the image's defaults under the request, as `docker run` documents it ("Override image defaults"). Pure. */
export function mergeImageConfig(
  request: ContainerConfig,
  image: ImageRunConfig | undefined,
): ContainerConfig {
  const from = image ?? {};
  const exposed = { ...from.ExposedPorts, ...request.ExposedPorts };
  const volumes = { ...from.Volumes, ...request.Volumes };
  const merged: ContainerConfig = {
    Hostname: request.Hostname ?? "",
    Domainname: request.Domainname ?? "",
    User: request.User || from.User || "",
    AttachStdin: request.AttachStdin ?? false,
    AttachStdout: request.AttachStdout ?? false,
    AttachStderr: request.AttachStderr ?? false,
    Tty: request.Tty ?? false,
    OpenStdin: request.OpenStdin ?? false,
    StdinOnce: request.StdinOnce ?? false,
    Env: mergeEnv(request.Env ?? [], from.Env ?? []),
    ...mergeCommand(request, from),
    Image: request.Image ?? "",
    WorkingDir: request.WorkingDir || from.WorkingDir || "",
    Labels: { ...from.Labels, ...request.Labels },
  };
  if (Object.keys(exposed).length > 0) merged.ExposedPorts = exposed;
  if (Object.keys(volumes).length > 0) merged.Volumes = volumes;
  const stopSignal = request.StopSignal || from.StopSignal;
  if (stopSignal) merged.StopSignal = stopSignal;
  if (request.StopTimeout !== undefined && request.StopTimeout !== null) {
    merged.StopTimeout = request.StopTimeout;
  }
  const shell = request.Shell ?? from.Shell;
  if (shell && shell.length > 0) merged.Shell = [...shell];
  // The image's triggers are for builds from it; a request's are for images that are committed of the container.
  if (request.OnBuild && request.OnBuild.length > 0) merged.OnBuild = [...request.OnBuild];
  if (request.NetworkDisabled) merged.NetworkDisabled = true;
  const health = mergeHealth(request, from);
  if (health) merged.Healthcheck = health;
  return merged;
}

/** An entrypoint of the request drops the image's command with the image's entrypoint; `[""]` means none. */
function mergeCommand(
  request: ContainerConfig,
  image: ImageRunConfig,
): Pick<ContainerConfig, "Cmd" | "Entrypoint" | "ArgsEscaped"> {
  let cmd = request.Cmd ?? [];
  let entrypoint = request.Entrypoint ?? [];
  let escaped = request.ArgsEscaped ?? false;
  if (entrypoint.length === 0) {
    if (cmd.length === 0) {
      cmd = [...(image.Cmd ?? [])];
      escaped = image.ArgsEscaped ?? false;
    }
    entrypoint = [...(image.Entrypoint ?? [])];
  } else if (entrypoint.length === 1 && entrypoint[0] === "") {
    entrypoint = [];
  }
  return {
    ...(cmd.length > 0 ? { Cmd: cmd } : {}),
    ...(entrypoint.length > 0 ? { Entrypoint: entrypoint } : {}),
    ...(escaped ? { ArgsEscaped: true } : {}),
  };
}

/** The request's variables first, then those of the image it does not set. */
function mergeEnv(request: readonly string[], image: readonly string[]): string[] {
  const key = (entry: string) => entry.split("=", 1)[0] ?? entry;
  const set = new Set(request.map(key));
  return [...request, ...image.filter((entry) => !set.has(key(entry)))];
}

function mergeHealth(request: ContainerConfig, image: ImageRunConfig): ContainerConfig["Healthcheck"] {
  const own = request.Healthcheck;
  const base = image.Healthcheck ?? undefined;
  if (!own && !base) return undefined;
  const test = own?.Test && own.Test.length > 0 ? own.Test : (base?.Test ?? []);
  const merged: TugHealthConfig = { Test: [...test] };
  const action = (own as TugHealthConfig | undefined)?.OnFailure;
  if (action) merged.OnFailure = action;
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const) {
    const value = own?.[name] || base?.[name];
    if (value) merged[name] = value;
  }
  return merged;
}
