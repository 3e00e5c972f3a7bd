import { invalid, TugError } from "../base/lib/errors.ts";
import { systemText } from "../base/lib/system-text.ts";
import { defaultAddress, parseAddress, type TlsOptions } from "../client/address.ts";
import { Client } from "../client/client.ts";
import type { Context } from "./context.ts";

/** Makes the client for the daemon that options, environment or configuration name; nothing is sent yet. */
export async function connect(context: Context): Promise<Client> {
  const { env, globals } = context;
  const config = await context.config();
  const verify = globals.tlsverify || (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  const wantsTls = verify || globals.tls || (env["DOCKER_TLS"] ?? "") !== "";
  const named = globals.context ?? (globals.host === undefined ? env["DOCKER_CONTEXT"] : undefined);
  if (named && globals.host !== undefined) {
    throw invalid("conflicting options: cannot specify both --host and --context");
  }
  if (named && named !== "default") return await connectContext(context, named);
  const text = globals.host ?? (env["TUG_HOST"] || env["DOCKER_HOST"] || defaultAddress);
  const address = parseAddress(text, wantsTls);
  return new Client({
    address,
    tls: address.kind === "tcp" && wantsTls ? await readTls(context, verify) : undefined,
    headers: config.data.HttpHeaders,
    version: (env["DOCKER_API_VERSION"] ?? "").replace(/^v/, "") || undefined,
  });
}

/** The client for another daemon than the one that is asked: its address, or the name of a context. */
export async function connectTo(context: Context, destination: string): Promise<Client> {
  if (!destination.includes("://")) return await connectContext(context, destination);
  const globals = { ...context.globals, host: destination, context: undefined };
  return await connect({ ...context, globals });
}

/** Only a context that is asked for counts: config.json's current one is Docker's, and names another engine. */
async function connectContext(context: Context, name: string): Promise<Client> {
  const config = await context.config();
  const { readContext } = await import("./config/context-store.ts");
  const { host, tls } = await readContext(config.folder, name);
  const address = parseAddress(host, tls !== undefined);
  const version = (context.env["DOCKER_API_VERSION"] ?? "").replace(/^v/, "") || undefined;
  return new Client({ address, tls, headers: config.data.HttpHeaders, version });
}

/** The PEM files of DOCKER_CERT_PATH (or the configuration folder); only those named by an option must exist. */
async function readTls(context: Context, verify: boolean): Promise<TlsOptions> {
  const { env, globals } = context;
  const { folder } = await context.config();
  const base = env["DOCKER_CERT_PATH"] || folder;
  const { readWholeFileAside } = await import("../base/lib/whole-file.ts");
  const read = async (named: string | undefined, name: string) => {
    const path = named ?? `${base}/${name}`;
    if (named === undefined && !(await Bun.file(path).exists())) return undefined;
    try {
      return (await readWholeFileAside(path)).toString();
    } catch (cause) {
      throw new TugError("invalid-argument", `could not read ${name}: open ${path}: ${systemText(cause)}`, {
        cause,
      });
    }
  };
  const [ca, cert, key] = await Promise.all([
    read(globals.tlscacert, "ca.pem"),
    read(globals.tlscert, "cert.pem"),
    read(globals.tlskey, "key.pem"),
  ]);
  return {
    verify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
