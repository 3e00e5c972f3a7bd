import { TugError } from "../../../../base/lib/errors.ts";
import { complaintOf, startFailure } from "../../start-failure.ts";

/**
 * The runtime's complaint as Docker words it. Docker's clients tell "command not found" (127) from "cannot be executed"
 * (126) and from the rest (125) by this text, so the wording of runc is given for every runtime.
 */
export function runtimeFailure(
  text: string,
  context: { readonly runtime: string; readonly program: string; readonly verb: "create" | "exec" },
): TugError {
  const reason = complaintOf(text);
  const found = startFailure(reason, context.program);
  const detail = found?.text ?? reason;
  const exitCode = found?.exitCode ?? (context.verb === "exec" ? 126 : 125);
  const message =
    context.verb === "create"
      ? `failed to create task for container: failed to create shim task: OCI runtime create failed: ` +
        `${context.runtime} create failed: unable to start container process: ${detail}: unknown${found?.hint ?? ""}`
      : `OCI runtime exec failed: exec failed: unable to start container process: ${detail}: unknown${found?.hint ?? ""}`;
  return new TugError(found || context.verb === "exec" ? "runtime-command" : "internal", message, {
    detail: { exitCode },
  });
}
