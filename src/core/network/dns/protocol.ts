/**
 * What the daemon tells the resolver process: JSON lines over a unix socket, each request answered by one line with the same
 * `seq`. The daemon's records are the truth; `sync` makes the resolver agree with them, so either side may die and be replaced.
 */
export const protocolVersion = 1;

/** One container on networks that have names. */
export interface DnsContainer {
  readonly id: string;
  /** The process whose namespace the container's resolver listens in, and its start time against reuse of the number. */
  readonly pid: number;
  readonly startTime: string;
  /** Upstream servers; empty: those of the host's /etc/resolv.conf, read anew when it changes. */
  readonly servers: readonly string[];
  /** False on internal networks only: what is not known here is not asked of anybody (CVE-2024-29018). */
  readonly external: boolean;
  readonly networks: readonly DnsAttachment[];
}

export interface DnsAttachment {
  readonly network: string;
  readonly networkName: string;
  /** Lower case or not; compared without regard to case (RFC 4343). */
  readonly names: readonly string[];
  /** The name reverse queries get. */
  readonly canonicalName: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** alias -> container name or id, for this container alone. */
  readonly links: Readonly<Record<string, string>>;
}

export type DnsRequest =
  | { readonly seq: number; readonly op: "hello" }
  | { readonly seq: number; readonly op: "sync"; readonly containers: readonly DnsContainer[] }
  | { readonly seq: number; readonly op: "put"; readonly container: DnsContainer }
  | { readonly seq: number; readonly op: "drop"; readonly id: string }
  | { readonly seq: number; readonly op: "exit" };

export type DnsReply =
  | { readonly seq: number; readonly ok: true; readonly version: number; readonly pid: number }
  | { readonly seq: number; readonly ok: false; readonly error: string };

/** The container's resolver, as Docker has it. */
export const resolverAddress = "127.0.0.11";
