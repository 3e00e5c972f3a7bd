import { bool, list, text } from "./flags/flag.ts";

/** The options before the command. */
export const globalFlags = {
  config: text("", "Folder of the client's configuration", { shown: '"$HOME/.docker"' }),
  context: text(
    "c",
    "Context that names the daemon to talk to (instead of DOCKER_HOST and the default context)",
  ),
  debug: bool("D", "Tell more about failures"),
  host: list("H", "The daemon's address: unix://, tcp:// or ssh://"),
  "log-level": text("l", "How much to log: debug, info, warn, error or fatal", { initial: "info" }),
  tls: bool("", "Use TLS; --tlsverify implies it"),
  tlscacert: text("", "Certificate authority that the daemon's certificate must come from"),
  tlscert: text("", "This client's certificate"),
  tlskey: text("", "This client's key"),
  tlsverify: bool("", "Use TLS and check the daemon's certificate"),
  version: bool("v", "Show the version and quit"),
};
