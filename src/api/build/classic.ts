import { TugError } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { reportsOf } from "../../base/lib/reports.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { ProgressSink } from "../../base/spec/builder/progress.ts";
import type { BuildRequest } from "../../base/spec/builder/request.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import type { Call } from "../call.ts";
import { streamJson } from "../json-stream.ts";
import { readBuildQuery } from "./build-query.ts";
import { classicFailure, failureMessage } from "./classic-failure.ts";
import { ClassicOutput, type ClassicStep } from "./classic-output.ts";
import { classicBuildRequest } from "./classic-request.ts";
import { registryConfig } from "./registry-config.ts";

/** What the classic `POST /build` needs from below. */
export interface ClassicBuildBackend {
  /** Resolves with the image's id. */
  build(
    request: BuildRequest,
    options: {
      /** The context: a tar, compressed or not; read only when the request has no remote one. */
      readonly context: ReadableStream<Uint8Array>;
      readonly credentials: (host: string) => AuthConfig | undefined;
      readonly signal: AbortSignal;
      readonly progress: ProgressSink;
      /** The Dockerfile is here; what fails now is the build. */
      readonly onDefined: () => void;
      /** Told before the first step runs. */
      readonly onSteps: (steps: readonly ClassicStep[]) => void;
    },
  ): Promise<string>;
}

/** The classic protocol: the context as body, the builder's words as a stream of JSON. */
export class ClassicBuilds {
  readonly #backend: ClassicBuildBackend;
  /** By the id that the client gave. */
  readonly #running = new Map<string, AbortController>();

  constructor(backend: ClassicBuildBackend) {
    this.#backend = backend;
  }

  /** Bad parameters are refused before the stream begins. */
  async build(call: Call): Promise<void> {
    const { exchange, query } = call;
    const asked = readBuildQuery(query);
    const request = classicBuildRequest(asked, query.optional("buildid") ?? randomId());
    const credentials = registryConfig(exchange.headers);
    const told = new Outgoing(asked.quiet);
    const { output } = told;
    const instructionOf = (vertex: string) => output.instruction(vertex);
    let defined = false;
    const work = async (signal: AbortSignal) => {
      const context = exchange.body.stream();
      const onDefined = () => {
        defined = true;
      };
      const onSteps = (steps: readonly ClassicStep[]) => output.begin(steps);
      const options = { context, credentials, signal, progress: output, onDefined, onSteps };
      output.built(await this.#backend.build(request, options), asked.tags);
    };
    try {
      await streamJson(call, this.#messages(call, request.id, told, work), {
        failure: (error) => failureMessage(error, instructionOf),
        // As dockerd has it: what is wrong with the request or its Dockerfile is answered with a status, what comes after that is not.
        failureInStream: (error) =>
          defined && classicFailure(error, instructionOf).code !== "invalid-argument",
      });
    } catch (error) {
      throw classicFailure(error, instructionOf);
    }
  }

  /** Ends a build; one that is not running has ended. */
  cancel(id: string): void {
    this.#running.get(id)?.abort(new TugError("cancelled", "build canceled"));
  }

  async *#messages(
    { exchange }: Call,
    id: string,
    told: Outgoing,
    work: (signal: AbortSignal) => Promise<void>,
  ): AsyncGenerator<ProgressMessage> {
    const abort = new AbortController();
    this.#running.set(id, abort);
    const building = work(AbortSignal.any([exchange.signal, abort.signal])).catch((error: unknown) => {
      told.output.failed();
      throw error;
    });
    try {
      yield* reportsOf(building, told.changed, () => told.take());
    } finally {
      this.#running.delete(id);
      abort.abort();
      // A client that went away waits for nobody, but what the build held must be let go before its context is.
      await building.catch(() => undefined);
    }
  }
}

/** What a build says until the stream takes it. */
class Outgoing {
  readonly changed = new Signal();
  readonly output: ClassicOutput;
  #waiting: ProgressMessage[] = [];

  constructor(quiet: boolean) {
    const send = (message: ProgressMessage) => {
      this.#waiting.push(message);
      this.changed.notify();
    };
    this.output = new ClassicOutput(send, { quiet });
  }

  take(): readonly ProgressMessage[] {
    return this.#waiting.splice(0);
  }
}
