import { formatRfc3339Nano } from "../../../../base/lib/timestamp.ts";
import type { LogMessage } from "../../forward/message.ts";

export const facilities: readonly string[] = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
];

export type SyslogFormat = "" | "rfc3164" | "rfc5424" | "rfc5424micro";

export interface SyslogHeader {
  readonly facility: number;
  readonly format: SyslogFormat;
  readonly tag: string;
  readonly hostname: string;
  readonly pid: number;
}

const severity = { stdout: 6, stderr: 3 } as const;
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** One message without framing: "<30>Jan  2 15:04:05 tag[pid]: text" and its relatives (RFC 3164, RFC 5424). */
export function formatSyslog(message: LogMessage, header: SyslogHeader): Buffer {
  const priority = header.facility * 8 + severity[message.stream];
  const { tag, pid, hostname } = header;
  let head: string;
  switch (header.format) {
    case "rfc3164":
      head = `<${priority}>${stamp(message.time)} ${hostname} ${tag}[${pid}]: `;
      break;
    case "rfc5424":
      head = `<${priority}>1 ${rfc3339(message.time, 0)} ${hostname} ${tag} ${pid} ${tag} - `;
      break;
    case "rfc5424micro":
      head = `<${priority}>1 ${rfc3339(message.time, 6)} ${hostname} ${tag} ${pid} ${tag} - `;
      break;
    default:
      head = `<${priority}>${stamp(message.time)} ${tag}[${pid}]: `;
  }
  return Buffer.concat([Buffer.from(head), message.text]);
}

/** Go's time.Stamp: local time, day padded with a blank (RFC 3164, 4.1.2). */
function stamp(nanos: bigint): string {
  const at = new Date(Number(nanos / 1_000_000n));
  const two = (value: number) => String(value).padStart(2, "0");
  const day = String(at.getDate()).padStart(2, " ");
  return `${months[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function rfc3339(nanos: bigint, digits: number): string {
  const seconds = formatRfc3339Nano((nanos / 1_000_000_000n) * 1_000_000_000n).slice(0, 19);
  const fraction = (nanos % 1_000_000_000n).toString().padStart(9, "0").slice(0, digits);
  return `${seconds}${digits === 0 ? "" : `.${fraction}`}Z`;
}
