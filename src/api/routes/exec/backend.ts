import type { ProcessConfig } from "../../../base/spec/docker/api.gen.ts";
import type { ExecCreateRequest } from "../../../base/spec/docker/requests.ts";
import type { StreamClient } from "../../stream-client.ts";

export interface ExecInspect {
  readonly ID: string;
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly ProcessConfig: ProcessConfig;
  readonly OpenStdin: boolean;
  readonly OpenStderr: boolean;
  readonly OpenStdout: boolean;
  readonly CanRemove: boolean;
  readonly ContainerID: string;
  readonly DetachKeys: string;
  readonly Pid: number;
}

export interface ExecBackend {
  createExec(containerId: string, request: ExecCreateRequest): Promise<{ readonly Id: string }>;
  /** Detached: resolves when it runs. Otherwise streams to the client until it ends. */
  startExec(
    execId: string,
    options: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
    },
    client: StreamClient | undefined,
  ): Promise<void>;
  resizeExec(execId: string, rows: number, columns: number): Promise<void>;
  inspectExec(execId: string): Promise<ExecInspect>;
}
