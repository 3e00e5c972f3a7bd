import { conflict, notFound, TugError } from "../../base/lib/errors.ts";
import type { ExecBackend } from "../routes/exec/backend.ts";
import type { FakeEngine } from "./engine.ts";

export function fakeExec(engine: FakeEngine): ExecBackend {
  return {
    createExec: async (containerId, request) => {
      engine.log("createExec", containerId, request);
      const container = engine.find(containerId);
      if (!container.running) throw conflict(`container ${container.id} is not running`);
      const id = engine.id();
      engine.execs.set(id, { container: container.id, request, exitCode: 0 });
      return { Id: id };
    },
    startExec: async (execId, options, client) => {
      engine.log("startExec", execId, options);
      const exec = engine.execs.get(execId);
      if (!exec) throw notFound(`No such exec instance: ${execId}`);
      if (exec.request.Cmd?.[0] === "nonexistent") {
        exec.exitCode = 127;
        throw new TugError(
          "runtime-command",
          'OCI runtime exec failed: exec failed: unable to start container process: exec: "nonexistent": executable file not found in $PATH: unknown',
        );
      }
      if (!client) return;
      client.begin({ tty: options.tty });
      exec.exitCode = await engine.program(exec.request.Cmd ?? [], options.tty, client);
    },
    resizeExec: async (id, rows, columns) => {
      engine.log("resizeExec", id, rows, columns);
      engine.sizes.push([rows, columns]);
    },
    inspectExec: async (execId) => {
      const exec = engine.execs.get(execId);
      if (!exec) throw notFound(`No such exec instance: ${execId}`);
      return {
        ID: execId,
        Running: false,
        ExitCode: exec.exitCode,
        ProcessConfig: {
          tty: exec.request.Tty ?? false,
          entrypoint: exec.request.Cmd?.[0] ?? "",
          arguments: [],
        },
        OpenStdin: exec.request.AttachStdin ?? false,
        OpenStderr: exec.request.AttachStderr ?? false,
        OpenStdout: exec.request.AttachStdout ?? false,
        CanRemove: false,
        ContainerID: exec.container,
        DetachKeys: "",
        Pid: 1,
      };
    },
  };
}
