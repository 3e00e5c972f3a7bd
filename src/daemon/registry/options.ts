import type { DaemonOption } from "../config/options.ts";

/** A flag of `tug registry serve`, and where its value stands in the configuration file. */
export interface RegistryOption extends DaemonOption {
  /** Names of the file, outermost first; undefined: a flag only. */
  readonly path?: readonly string[];
}

const option = (
  flag: string,
  kind: DaemonOption["kind"],
  path: string | undefined,
  help: string,
  short?: string,
): RegistryOption => ({
  flag,
  kind,
  help,
  ...(path !== undefined && { path: path.split(".") }),
  ...(short !== undefined && { short }),
});

const configOption = option("config", "string", undefined, "Configuration file (YAML)", "c");
const rootOption = option(
  "root",
  "string",
  "root",
  "Directory of records and blobs (default /var/lib/tug-registry)",
);
const ageOptions = [
  option("gc-grace", "string", "garbage.grace", "Time a blob stays that no manifest names (default 24h)"),
  option(
    "gc-untagged-after",
    "string",
    "garbage.untagged-after",
    "Time after which a manifest without tag, index or subject goes (default never)",
  ),
];
const helpOption = option("help", "bool", undefined, "Show this help", "h");

/** Everything `tug registry serve` takes, in the order of its help. */
export const serveOptions: readonly RegistryOption[] = [
  configOption,
  rootOption,
  option("listen", "list", "listen", "Address to serve on: [HOST]:PORT or unix:///PATH (default :5000)", "l"),
  option("external-url", "string", "external-url", "URL that clients use, where a proxy stands in front"),
  option("tls-cert", "string", "tls.certificate", "Certificate file (PEM); read again on SIGHUP"),
  option("tls-key", "string", "tls.key", "Key file (PEM)"),
  option("tls-client-ca", "string", "tls.client-ca", "Ask clients for a certificate of this authority"),
  option("htpasswd", "string", "auth.htpasswd", "Ask for names and passwords of this file (bcrypt)"),
  option("anonymous-pull", "bool", undefined, "Let everybody pull; pushing takes a password"),
  option("token-realm", "string", "auth.token.realm", "Ask for tokens of the server at this URL"),
  option("token-service", "string", "auth.token.service", "Name of this registry in tokens"),
  option("token-issuer", "string", "auth.token.issuer", "Issuer that tokens must come from"),
  option("token-key", "list", "auth.token.keys", "Public keys of the issuer: PEM or JSON Web Key Set"),
  option(
    "s3",
    "string",
    undefined,
    "Keep blobs in a bucket: s3://BUCKET[/PREFIX] (credentials: AWS_* variables)",
  ),
  option("s3-endpoint", "string", "storage.s3.endpoint", "URL of the S3-compatible service"),
  option("s3-region", "string", "storage.s3.region", "Region of the bucket"),
  option("read-only", "bool", "read-only", "Refuse pushes and deletions"),
  option("no-delete", "bool", undefined, "Refuse deletions"),
  option("no-pages", "bool", undefined, "Serve no web pages and no search"),
  option(
    "metrics-listen",
    "string",
    "metrics.listen",
    "Serve /metrics at this address instead of the registry's",
  ),
  option(
    "gc-interval",
    "string",
    "garbage.interval",
    "Time between garbage collections, 0 for none (default 1h)",
  ),
  ...ageOptions,
  option("proxy", "list", undefined, "Cache another registry: [PREFIX=]URL, e.g. hub=https://docker.io"),
  option("quota", "list", undefined, "Limit what repositories hold: PATTERN=SIZE, e.g. 'team/*=10GB'"),
  option("webhook", "list", undefined, "Tell this URL about pushes, pulls and deletions"),
  option("log-level", "string", "log-level", "debug, info, warn, error or fatal (default info)"),
  option("validate", "bool", undefined, "Check the configuration and exit"),
  helpOption,
];

/** `tug registry gc`. */
export const collectOptions: readonly RegistryOption[] = [
  configOption,
  rootOption,
  option("dry-run", "bool", undefined, "Show what would be deleted, delete nothing", "n"),
  option("orphans", "bool", undefined, "Also look for blobs that no record names, which takes longer"),
  ...ageOptions,
  helpOption,
];

/** `tug registry htpasswd NAME`. */
export const htpasswdOptions: readonly RegistryOption[] = [
  option("cost", "int", undefined, "Work factor of bcrypt, 4 to 31 (default 10)"),
  helpOption,
];
