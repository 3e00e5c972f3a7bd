import { formatRfc3339Nano } from "../../../base/lib/timestamp.ts";
import type { BuildWarning, ProgressSink } from "../../../base/spec/builder/progress.ts";
import type { Output } from "../../io/output.ts";
import type { BuildDisplay } from "./trace.ts";

/** `--progress=rawjson`: one line of JSON for each thing that happens, as BuildKit's SolveStatus has it. */
export class RawDisplay implements BuildDisplay {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  readonly trace: ProgressSink = {
    vertex: (vertex) =>
      this.#say({
        vertexes: [
          {
            digest: vertex.digest,
            ...(vertex.inputs.length > 0 ? { inputs: vertex.inputs } : {}),
            name: vertex.name,
            ...time("started", vertex.started),
            ...time("completed", vertex.completed),
            ...(vertex.cached ? { cached: true } : {}),
            ...(vertex.error === undefined ? {} : { error: vertex.error }),
          },
        ],
      }),
    status: (status) =>
      this.#say({
        statuses: [
          {
            id: status.id,
            vertex: status.vertex,
            name: status.name,
            ...(status.total > 0 ? { total: status.total } : {}),
            current: status.current,
            ...time("timestamp", status.completed ?? status.started),
            ...time("started", status.started),
            ...time("completed", status.completed),
          },
        ],
      }),
    log: (log) =>
      this.#say({
        logs: [
          {
            vertex: log.vertex,
            stream: log.stream === "stdout" ? 1 : 2,
            data: Buffer.from(log.bytes).toString("base64"),
            ...time("timestamp", log.at),
          },
        ],
      }),
    warning: (warning) => this.#say({ warnings: [rawWarning(warning)] }),
  };

  async finish(): Promise<void> {
    await this.#out.flush();
  }

  #say(value: unknown): void {
    // A reader that went away ends the command elsewhere.
    this.#out.write(`${JSON.stringify(value)}\n`).catch(() => undefined);
  }
}

function rawWarning(warning: BuildWarning) {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    level: 1,
    short: base64(warning.short),
    detail: warning.detail.map(base64),
    url: warning.url,
    ...(warning.location ? { range: warning.location.ranges } : {}),
  };
}

function time(name: string, at: bigint | undefined): Record<string, string> {
  return at === undefined ? {} : { [name]: formatRfc3339Nano(at) };
}
