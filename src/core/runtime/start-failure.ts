/** dockerd's to whatever failed with ENOTDIR. */
const mountHint =
  ": Are you trying to mount a directory onto a file (or vice-versa)? " +
  "Check if the specified host path exists and is the expected type";

/** Why a container's program could not be started, as runc words it for every runtime. */
export interface StartFailure {
  readonly text: string;
  readonly exitCode: number;
  /** What Docker adds at the end. */
  readonly hint?: string;
}

/** Reads a runtime's complaint about the container's program at `path`; undefined when it is about something else. */
export function startFailure(reason: string, path: string): StartFailure | undefined {
  const program = JSON.stringify(path);
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

/** What a runtime says last: crun says one line; runc may log several, the last of which names the cause. */
export function complaintOf(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const last = lines.at(-1) ?? "the runtime failed without a message";
  const logged = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1];
  return (logged?.replaceAll('\\"', '"') ?? last)
    .replace(/^(?:crun|runc): /, "")
    .replace(/^(?:runc (?:create|run)|exec) failed: unable to start container process: /, "");
}
