import { abortable } from "../../base/lib/abort.ts";
import { messageOf, TugError } from "../../base/lib/errors.ts";
import { jsonKind } from "../../base/lib/json-kind.ts";
import { systemText } from "../../base/lib/system-text.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";

/** A program that keeps credentials (docker-credential-helpers' protocol), and where that is written. */
export interface CredentialHelper {
  /** "docker-credential-<name>" */
  readonly program: string;
  /** The entry of config.json that names it, as messages have it. */
  readonly setting: string;
}

/** How long one waits for a helper. */
export interface Waiting {
  /** Ends the helper, and the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told once when it takes long, as one that asks a person where nobody sees it does. */
  readonly onSlow?: (text: string) => void;
}

/** Verbs in the words of Docker's client. */
const doing = { get: "getting", store: "storing", erase: "erasing" } as const;

/** Bytes that a helper may print. */
const largestAnswer = 1 << 20;
/** Milliseconds before one is told what is waited for. */
const slowAfter = 5_000;

interface Question {
  readonly verb: keyof typeof doing;
  readonly server: string;
  readonly input: string;
}

/** Runs the helper to its end; undefined when it knows no such credentials. */
async function ask(
  helper: CredentialHelper,
  question: Question,
  { signal, onSlow }: Waiting = {},
): Promise<string | undefined> {
  signal?.throwIfAborted();
  const { program } = helper;
  let child: Bun.Subprocess<Buffer, "pipe", "inherit">;
  try {
    child = Bun.spawn([program, question.verb], {
      stdin: Buffer.from(question.input), // a helper may end without reading it
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env },
    });
  } catch (cause) {
    throw failure(helper, question, spawnFault(program, cause), "", cause);
  }
  const slow = setTimeout(
    () => onSlow?.(`${program} takes long to tell the credentials of ${question.server}\n`),
    slowAfter,
  );
  try {
    // What it started may keep its output open: neither is waited for once the command is given up.
    const { out, code } = await abortable(answerOf(child), signal);
    if (code === 0) return out;
    if (/credentials not found/i.test(out)) return undefined;
    // Ctrl-C goes to the whole foreground: the person gave up, and the helper did not fail.
    if (child.signalCode === "SIGINT") throw new TugError("cancelled", `${program} was interrupted`);
    const reason = child.signalCode ? `signal: ${child.signalCode}` : `exit status ${code}`;
    throw failure(helper, question, reason, out);
  } catch (error) {
    child.kill("SIGKILL");
    throw error instanceof TooMuch ? failure(helper, question, error.message, "") : error;
  } finally {
    clearTimeout(slow);
  }
}

class TooMuch extends Error {}

async function answerOf(child: Bun.Subprocess<Buffer, "pipe", "inherit">) {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of child.stdout) {
    size += piece.length;
    if (size > largestAnswer) throw new TooMuch(`more than ${largestAnswer} bytes of output`);
    pieces.push(piece);
  }
  return { out: Buffer.concat(pieces).toString().trim(), code: await child.exited };
}

/** Why it did not start, in Go's words. */
function spawnFault(program: string, cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  return `exec: ${JSON.stringify(program)}: ${code === "ENOEXEC" ? "exec format error" : systemText(cause)}`;
}

/** Docker's text, and behind it whose credentials they are and what can be done. */
function failure(
  { program, setting }: CredentialHelper,
  { verb, server }: Question,
  reason: string,
  out: string,
  cause?: unknown,
): TugError {
  const remedy = reason.endsWith("not found in $PATH")
    ? "install it"
    : `see what it says: echo ${server} | ${program} ${verb === "get" ? "get" : "list"}`;
  return new TugError(
    "invalid-argument",
    `error ${doing[verb]} credentials - err: ${reason}, out: \`${out}\` (${program} keeps those of ${server}: ${remedy}, or take it out of ${setting})`,
    { cause },
  );
}

/** Credentials of one registry from a helper. */
export async function helperGet(
  helper: CredentialHelper,
  server: string,
  waiting: Waiting = {},
): Promise<AuthConfig | undefined> {
  const question = { verb: "get", server, input: server } as const;
  const out = await ask(helper, question, waiting);
  if (out === undefined) return undefined;
  let said: { readonly name: string; readonly secret: string };
  try {
    said = await readCredentials(out);
  } catch (error) {
    // Whatever it is, it may hold a secret: only what is wrong with it is told.
    throw failure(helper, question, messageOf(error), "", error);
  }
  const { name, secret } = said;
  if (name === "" && secret === "") return undefined;
  // "<token>" as the user name marks an identity token (docker-credential-helpers' protocol).
  return name === "<token>"
    ? { identitytoken: secret, serveraddress: server }
    : { username: name, password: secret, serveraddress: server };
}

/** Reads `{"Username": …, "Secret": …}` as Go does: names in any case, what is missing is empty. */
async function readCredentials(text: string): Promise<{ readonly name: string; readonly secret: string }> {
  const { readJsonText } = await import("../../base/lib/json-text.ts");
  const { value } = readJsonText(text);
  if (value !== null && jsonKind(value) !== "object")
    throw new Error(
      `json: cannot unmarshal ${jsonKind(value)} into Go value of type credentials.Credentials`,
    );
  const members = Object.entries(value ?? {});
  const member = (field: string): string => {
    const found: unknown = members.findLast(([key]) => key.toLowerCase() === field.toLowerCase())?.[1] ?? "";
    if (typeof found === "string") return found;
    throw new Error(
      `json: cannot unmarshal ${jsonKind(found)} into Go struct field Credentials.${field} of type string`,
    );
  };
  return { name: member("Username"), secret: member("Secret") };
}

export async function helperStore(helper: CredentialHelper, server: string, auth: AuthConfig): Promise<void> {
  const token = auth.identitytoken;
  const entry = token
    ? { ServerURL: server, Username: "<token>", Secret: token }
    : { ServerURL: server, Username: auth.username ?? "", Secret: auth.password ?? "" };
  await ask(helper, { verb: "store", server, input: JSON.stringify(entry) });
}

export async function helperErase(helper: CredentialHelper, server: string): Promise<void> {
  await ask(helper, { verb: "erase", server, input: server });
}
