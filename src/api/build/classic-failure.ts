import { codeOf, TugError } from "../../base/lib/errors.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import { errorMessage } from "../progress.ts";
import { stepOf } from "../routes/build/failure.ts";

/** What the classic builder says where BuildKit has words of its own; `$1` stands for what the sentence is about. */
const words: readonly (readonly [RegExp, string])[] = [
  [
    /^failed to read dockerfile: open (.*): no such file or directory$/s,
    "Cannot locate specified Dockerfile: $1",
  ],
  [/^the Dockerfile cannot be empty$/, "the Dockerfile (Dockerfile) cannot be empty"],
  [/^target stage "([^"]*)" could not be found(.*)$/s, "failed to reach build target $1 in Dockerfile$2"],
  [
    /^failed to compute cache key: failed to calculate checksum of ref \S+: "\/(.*)": not found$/s,
    "failed: file not found in build context or excluded by .dockerignore: stat $1: file does not exist",
  ],
];

/** The same failure in the classic builder's words; `instructionOf`: the instruction that a vertex belongs to. */
export function classicFailure(
  error: unknown,
  instructionOf: (vertex: string) => string | undefined,
): TugError {
  const { error: text = "" } = errorMessage(error);
  const found = words.find(([pattern]) => pattern.test(text));
  const classic = found ? text.replace(found[0], found[1]) : text;
  const step = stepOf(error);
  const [instruction = "COPY"] = /^\w+/.exec((step && instructionOf(step.digest)) ?? "") ?? [];
  const message = classic.startsWith("failed: file not found") ? `${instruction} ${classic}` : classic;
  // A target is a parameter of the request.
  const code = message.startsWith("failed to reach build target ") ? "invalid-argument" : codeOf(error);
  return new TugError(code, message, { cause: error });
}

/** A command's exit code is told as the classic builder told it. */
export function failureMessage(
  error: unknown,
  instructionOf: (vertex: string) => string | undefined,
): ProgressMessage {
  const message = errorMessage(classicFailure(error, instructionOf));
  const failed = /^process "(.*)" did not complete successfully: exit code: (\d+)$/s.exec(
    message.error ?? "",
  );
  if (!failed) return message;
  const code = Number(failed[2]);
  const text = `The command '${failed[1]}' returned a non-zero code: ${code}`;
  return { errorDetail: { code, message: text }, error: text };
}
