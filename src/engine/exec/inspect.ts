import type { ExecRecord } from "./exec-record.ts";

/** The wire's ExecInspectResponse. */
export function describeExec(exec: ExecRecord) {
  const { request } = exec;
  const [entrypoint = "", ...rest] = request.Cmd ?? [];
  return {
    ID: exec.id,
    Running: exec.state === "running",
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: request.Tty ?? false,
      entrypoint,
      arguments: [...rest],
      privileged: request.Privileged ?? false,
      ...(request.User ? { user: request.User } : {}),
    },
    OpenStdin: request.AttachStdin ?? false,
    OpenStderr: request.AttachStderr ?? false,
    OpenStdout: request.AttachStdout ?? false,
    CanRemove: false,
    ContainerID: exec.containerId,
    DetachKeys: request.DetachKeys ?? "",
    Pid: exec.state === "running" ? exec.pid : 0,
  };
}
