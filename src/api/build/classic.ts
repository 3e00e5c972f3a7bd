import { TugError } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { reportsOf } from "../../base/lib/reports.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { ProgressSink } from "../../base/spec/builder/progress.ts";
import type { BuildRequest } from "../../base/spec/builder/request.ts";
import type { ProgressMessage, RegistryCredentials } from "../backend.ts";
import type { Call } from "../call.ts";
import { streamJson } from "../json-stream.ts";
import { errorMessage } from "../progress.ts";
import { ClassicOutput, type ClassicStep } from "./classic-output.ts";
import { classicBuildRequest, classicTags } from "./classic-request.ts";
import { registryConfig } from "./registry-config.ts";

/** What the classic `POST /build` needs from below. */
export interface ClassicBuildBackend {
  /** Resolves with the image's id. */
  build(
    request: BuildRequest,
    options: {
      /** The context: a tar, compressed or not; read only when the request has no remote one. */
      readonly context: ReadableStream<Uint8Array>;
      readonly credentials: (host: string) => RegistryCredentials | undefined;
      readonly signal: AbortSignal;
      readonly progress: ProgressSink;
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
    const { query } = call;
    const id = query.optional("buildid") ?? randomId();
    const tags = classicTags(query);
    const request = classicBuildRequest(query, id);
    const credentials = registryConfig(call.exchange.headers);
    const messages = this.#messages(call, request, tags, credentials);
    await streamJson(call, messages, { failure: failureMessage, failureInStream: true });
  }

  /** Ends a build; one that is not running has ended. */
  cancel(id: string): void {
    this.#running.get(id)?.abort(new TugError("cancelled", "build canceled"));
  }

  async *#messages(
    call: Call,
    request: BuildRequest,
    tags: readonly string[],
    credentials: (host: string) => RegistryCredentials | undefined,
  ): AsyncGenerator<ProgressMessage> {
    const { exchange, query } = call;
    const waiting: ProgressMessage[] = [];
    const changed = new Signal();
    const send = (message: ProgressMessage) => {
      waiting.push(message);
      changed.notify();
    };
    const output = new ClassicOutput(send, { quiet: query.bool("q") });
    const abort = new AbortController();
    this.#running.set(request.id, abort);
    const context = exchange.body.stream();
    const signal = AbortSignal.any([exchange.signal, abort.signal]);
    const onSteps = (steps: readonly ClassicStep[]) => output.begin(steps);
    const building = this.#backend
      .build(request, { context, credentials, signal, progress: output, onSteps })
      .then((image) => output.built(image, tags));
    try {
      yield* reportsOf(building, changed, () => waiting.splice(0));
    } finally {
      this.#running.delete(request.id);
      abort.abort();
      // A client that went away waits for nobody, but what the build held must be let go before its context is.
      await building.catch(() => undefined);
    }
  }
}

/** A command's exit code is told as the classic builder told it. */
function failureMessage(error: unknown): ProgressMessage {
  const message = errorMessage(error);
  const failed = /^process "(.*)" did not complete successfully: exit code: (\d+)$/s.exec(
    message.error ?? "",
  );
  if (!failed) return message;
  const code = Number(failed[2]);
  const text = `The command '${failed[1]}' returned a non-zero code: ${code}`;
  return { errorDetail: { code, message: text }, error: text };
}
