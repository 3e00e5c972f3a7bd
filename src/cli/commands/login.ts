import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { DaemonError } from "../../client/errors.ts";
import { checkAuth } from "../../client/system/auth.ts";
import { atMost, defineCommand } from "../command.ts";
import { hubKey, registryAuth, serverName } from "../config/credentials.ts";
import { storeAuth } from "../config/store.ts";
import type { Context } from "../context.ts";
import { bool, text } from "../flags/flag.ts";
import { readLine } from "../io/confirm.ts";
import { readSecret } from "../io/secret.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVER]",
  description: "Without a server, Docker Hub is meant.",
  args: atMost(1),
  flags: {
    password: text("p", "Password or access token"),
    "password-stdin": bool("", "Read the password or token from standard input"),
    username: text("u", "User name"),
  },
  async run(context, { values, changed, args: [operand] }) {
    for (const name of ["username", "password"] as const) {
      if (changed.has(name) && values[name] === "") throw invalid(`${name} is empty`);
    }
    let password = values.password;
    if (password !== "") {
      if (values["password-stdin"]) {
        throw invalid("conflicting options: cannot specify both --password and --password-stdin");
      }
      await context.err.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    }
    if (values["password-stdin"]) {
      if (values.username === "") throw invalid("the --password-stdin option requires --username to be set");
      const parts: Buffer[] = [];
      for await (const chunk of context.in.chunks()) parts.push(Buffer.from(chunk));
      password = Buffer.concat(parts)
        .toString()
        .replace(/\r?\n$/, "");
    }
    const server = operand === undefined || operand === "docker.io" ? hubKey : serverName(operand);
    const config = await context.config();
    const client = await context.client();
    const login = async (auth: AuthConfig): Promise<number> => {
      const reply = await checkAuth(client, auth);
      const token = reply.IdentityToken ?? "";
      const { password: _, ...rest } = auth;
      await storeAuth(context, config, server, token === "" ? auth : { ...rest, identitytoken: token });
      await context.out.write(`${reply.Status || "Login Succeeded"}\n`);
      return 0;
    };
    if (values.username === "" && password === "") {
      const stored = await registryAuth(context, server);
      if (stored?.username !== undefined || stored?.identitytoken !== undefined) {
        await announce(context, stored.username);
        try {
          return await login({ ...stored, serveraddress: server });
        } catch (error) {
          if (!(error instanceof DaemonError)) throw error; // only refused credentials are asked for anew
          await context.err.write(`Login did not succeed, error: ${messageOf(error)}\n`);
          return await login(await askFor(context, server, "", "", stored.username));
        }
      }
    }
    return await login(await askFor(context, server, values.username, password));
  },
});

/** Says whose stored credentials are tried, and how to be somebody else. */
async function announce(context: Context, username: string | undefined): Promise<void> {
  const hint = username
    ? ` [Username: ${username}]\n\n${context.err.isTerminal ? "i " : " "}Info ${context.err.isTerminal ? "→" : "->"} To login with a different account, run 'tug logout' followed by 'tug login'\n\n`
    : "";
  await context.err.write(`Authenticating with existing credentials...${hint}\n`);
}

async function askFor(
  context: Context,
  server: string,
  givenName: string,
  givenPassword: string,
  knownName = "",
): Promise<AuthConfig> {
  if ((givenName === "" || givenPassword === "") && !context.in.isTerminal) {
    throw invalid("Error: Cannot perform an interactive login from a non TTY device");
  }
  let username = givenName;
  if (username === "") {
    await context.out.write(knownName === "" ? "Username: " : `Username (${knownName}): `);
    username = ((await readLine(context)) ?? "").trim() || knownName;
    if (username === "") throw invalid("Error: Non-null Username Required");
  }
  const password = givenPassword === "" ? await readSecret(context, "Password: ") : givenPassword;
  if (password === "") throw invalid("Error: Password Required");
  return { username, password, serveraddress: server };
}
