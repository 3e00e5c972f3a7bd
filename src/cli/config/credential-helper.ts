import { TugError } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";

/** Verbs in the words of Docker's client. */
const doing = { get: "getting", store: "storing", erase: "erasing" } as const;

/** Runs `docker-credential-<helper> <verb>` with its input; undefined when it knows no such credentials. */
async function call(helper: string, verb: keyof typeof doing, input: string): Promise<string | undefined> {
  const program = `docker-credential-${helper}`;
  let child: Bun.Subprocess<Buffer, "pipe", "inherit">;
  try {
    child = Bun.spawn([program, verb], {
      stdin: Buffer.from(input), // a helper may end without reading it
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env },
    });
  } catch (cause) {
    throw new TugError(
      "invalid-argument",
      `error ${doing[verb]} credentials - err: exec: ${JSON.stringify(program)}: executable file not found in $PATH, out: \`\``,
      { cause },
    );
  }
  const out = (await new Response(child.stdout).text()).trim();
  const code = await child.exited;
  if (code === 0) return out;
  if (/credentials not found/i.test(out)) return undefined;
  throw new TugError(
    "invalid-argument",
    `error ${doing[verb]} credentials - err: exit status ${code}, out: \`${out}\``,
  );
}

/** Credentials of one registry from a helper. */
export async function helperGet(helper: string, server: string): Promise<AuthConfig | undefined> {
  const out = await call(helper, "get", server);
  if (out === undefined) return undefined;
  const { Username = "", Secret = "" } = JSON.parse(out) as { Username?: string; Secret?: string };
  // "<token>" as the user name marks an identity token (docker-credential-helpers' protocol).
  return Username === "<token>"
    ? { identitytoken: Secret, serveraddress: server }
    : { username: Username, password: Secret, serveraddress: server };
}

export async function helperStore(helper: string, server: string, auth: AuthConfig): Promise<void> {
  const token = auth.identitytoken;
  const entry = token
    ? { ServerURL: server, Username: "<token>", Secret: token }
    : { ServerURL: server, Username: auth.username ?? "", Secret: auth.password ?? "" };
  await call(helper, "store", JSON.stringify(entry));
}

export async function helperErase(helper: string, server: string): Promise<void> {
  await call(helper, "erase", server);
}
