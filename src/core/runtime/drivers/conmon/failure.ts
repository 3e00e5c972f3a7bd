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
        `${context.runtime} create failed: unable to start container process: ${detail}: unknown${found?.hint ?? ""}`
      : `OCI runtime exec failed: exec failed: unable to start container process: ${detail}: unknown${found?.hint ?? ""}`;
  return new TugError(found || context.verb === "exec" ? "runtime-command" : "internal", message, {
    detail: { exitCode },
  });
}

/** dockerd's to whatever failed with ENOTDIR. */
const mountHint =
  ": Are you trying to mount a directory onto a file (or vice-versa)? " +
  "Check if the specified host path exists and is the expected type";

interface Classified {
  readonly text: string;
  readonly exitCode: number;
  /** What Docker adds at the end. */
  readonly hint?: string;
}

function classify(reason: string, program: string): Classified | undefined {
  const path: string = JSON.parse(program);
  const directory = /^chdir `(.*)`: (.*)$/.exec(reason);
  if (directory) {
    const [, cwd = "", why = ""] = directory;
    return {
      text: `chdir to cwd (${JSON.stringify(cwd)}) set in config.json failed: ${why.toLowerCase()}`,
      exitCode: 126,
      ...(why === "Not a directory" ? { hint: mountHint } : {}),
    };
  }
  const mounting = /^mount `(.*)` to `(.*)`: Not a directory$/.exec(reason);
  if (mounting) {
    const [, source = "", target = ""] = mounting;
    return {
      text:
        `error during container init: error mounting ${JSON.stringify(source)} to rootfs at ` +
        `${JSON.stringify(`/${target.replace(/^\/+/, "")}`)}: not a directory`,
      exitCode: 127,
      hint: mountHint,
    };
  }
  const missing = /executable file (?:.* )?not found in \$PATH/i.test(reason);
  // crun looks at the directory that is left of an empty name.
  const empty = path === "" && /permission denied|operation not permitted/i.test(reason);
  if ((missing && !path.includes("/")) || empty)
    return { text: `exec: ${program}: executable file not found in $PATH`, exitCode: 127 };
  if (missing || /\bstat .*: no such file or directory/i.test(reason))
    return { text: `exec: ${program}: stat ${path}: no such file or directory`, exitCode: 127 };
  const executing = /\b(?:open executable|exec|executable|access)\b/i.test(reason);
  // crun says "operation not permitted" of a directory, runc "is a directory".
  if (executing && /permission denied|operation not permitted|is a directory/i.test(reason))
    return { text: `exec: ${program}: permission denied`, exitCode: 126 };
  if (executing && /exec format error/i.test(reason))
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
  return (logged?.replaceAll('\\"', '"') ?? last)
    .replace(/^(?:crun|runc): /, "")
    .replace(/^(?:runc create|exec) failed: unable to start container process: /, "");
}
