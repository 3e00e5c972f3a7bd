import type { Client } from "../client/client.ts";
import type { ConfigFile } from "./config/config-file.ts";
import type { Input } from "./io/input.ts";
import type { Output } from "./io/output.ts";

/** What the options before the command say. */
export interface GlobalOptions {
  readonly host: string | undefined;
  readonly context: string | undefined;
  readonly configDir: string | undefined;
  readonly debug: boolean;
  readonly tls: boolean;
  readonly tlsverify: boolean;
  readonly tlscacert: string | undefined;
  readonly tlscert: string | undefined;
  readonly tlskey: string | undefined;
}

/** Everything a command may touch. Client and configuration are made on first use: many commands start without them. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: Output;
  readonly err: Output;
  readonly in: Input;
  readonly globals: GlobalOptions;
  client(): Promise<Client>;
  config(): Promise<ConfigFile>;
}
