import { TugError } from "../../../../base/lib/errors.ts";

/**
 * The runtime's complaint as Docker words it. Docker's clients tell "command not found" (127) from "cannot be executed"
 * (126) and from the rest (125) by this text, so the wording of runc is given for every runtime.
 */
export function runtimeFailure(
  text: string,
  context: { readonly runtime: string; readonly program: string; readonly verb: "create" | "exec" },
): TugError {
  const reason = lastLine(text);
  const program = JSON.stringify(context.program);
  const found = classify(reason, program);
  const detail = found?.text ?? reason;
  const exitCode = found?.exitCode ?? (context.verb === "exec" ? 126 : 125);
  const message =
    context.verb === "create"
      ? `failed to create task for container: failed to create shim task: OCI runtime create failed: ` +
        `${context.runtime} create failed: unable to start container process: ${detail}: unknown`
      : `OCI runtime exec failed: exec failed: unable to start container process: ${detail}: unknown`;
  return new TugError(found || context.verb === "exec" ? "runtime-command" : "internal", message, {
    detail: { exitCode },
  });
}

function classify(reason: string, program: string): { text: string; exitCode: number } | undefined {
  if (/executable file .* not found in \$PATH/i.test(reason))
    return { text: `exec: ${program}: executable file not found in $PATH`, exitCode: 127 };
  if (/is a directory/i.test(reason))
    return { text: `exec: ${program}: is a directory: permission denied`, exitCode: 126 };
  const cannotExec = /(?:open|stat|exec|executable|lookup|access)\b/i.test(reason);
  if (cannotExec && /permission denied/i.test(reason))
    return { text: `exec: ${program}: permission denied`, exitCode: 126 };
  if (cannotExec && /exec format error/i.test(reason))
    return { text: `exec: ${program}: exec format error`, exitCode: 126 };
  return undefined;
}

/** crun says one line; runc may log several, the last of which names the cause. */
function lastLine(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const last = lines.at(-1) ?? "the runtime failed without a message";
  const logged = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1];
  return (logged?.replaceAll('\\"', '"') ?? last).replace(/^(?:crun|runc): /, "");
}
