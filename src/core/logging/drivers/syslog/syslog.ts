import { existsSync } from "node:fs";
import { hostname } from "node:os";
import type { Clock } from "../../../../base/lib/clock.ts";
import { invalid, TugError } from "../../../../base/lib/errors.ts";
import { UnixDatagram } from "../../../../base/sys/net/unix-datagram.ts";
import type { Destination } from "../../forward/driver.ts";
import type { LogSink } from "../../forward/forwarder.ts";
import type { LogMessage } from "../../forward/message.ts";
import { openStream, type StreamAddress } from "../../forward/stream.ts";
import { renderTag } from "../../forward/tag.ts";
import { openUdp } from "../../forward/udp.ts";
import type { LogContext } from "../../logging.ts";
import { facilities, formatSyslog, type SyslogFormat, type SyslogHeader } from "./format.ts";

type Options = Readonly<Record<string, string>>;

type Address =
  | { readonly scheme: "local" }
  | { readonly scheme: "unix" | "unixgram"; readonly path: string }
  | { readonly scheme: "udp" | "tcp" | "tcp+tls"; readonly host: string; readonly port: number };

/** syslog: the host's own, or one across the network by UDP, TCP, TLS or a socket file. */
export function syslogDestination(deps: { readonly clock: Clock }): Destination {
  return {
    name: "syslog",
    options: [
      "syslog-address",
      "syslog-facility",
      "syslog-format",
      "syslog-tls-ca-cert",
      "syslog-tls-cert",
      "syslog-tls-key",
      "syslog-tls-skip-verify",
    ],
    validate: (options) => {
      parseAddress(options["syslog-address"]);
      parseFacility(options["syslog-facility"]);
      parseFormat(options["syslog-format"]);
    },
    mustConnect: (options) => parseAddress(options["syslog-address"]).scheme !== "udp",
    connect: (container, signal) => connect(container, signal, deps.clock),
  };
}

async function connect(container: LogContext, signal: AbortSignal, clock: Clock): Promise<LogSink> {
  const { options } = container;
  const header: SyslogHeader = {
    facility: parseFacility(options["syslog-facility"]),
    format: parseFormat(options["syslog-format"]),
    tag: renderTag(options["tag"] ?? "{{.ID}}", container),
    hostname: hostname(),
    pid: process.pid,
  };
  const address = parseAddress(options["syslog-address"]);
  if (address.scheme === "udp") {
    const udp = openUdp(address.host, address.port);
    return sink((message) => udp.send(formatSyslog(message, header)), udp);
  }
  if (address.scheme === "local" || address.scheme === "unixgram") {
    const socket = new UnixDatagram(address.scheme === "local" ? localSocket() : address.path);
    const close = { [Symbol.asyncDispose]: async () => socket[Symbol.dispose]() };
    return sink(async (message) => {
      const bytes = formatSyslog(message, header);
      while (!socket.send(bytes)) await clock.sleep(10, signal);
    }, close);
  }
  const stream = await openStream(streamAddress(address, options), signal);
  // RFC 6587: octet counting for RFC 5424 over TCP and TLS, else one message a line.
  const counted = header.format.startsWith("rfc5424") && address.scheme !== "unix";
  return {
    send: async (messages) => {
      const parts = messages.map((message) => {
        const bytes = formatSyslog(message, header);
        return counted
          ? Buffer.concat([Buffer.from(`${bytes.length} `), bytes])
          : Buffer.concat([bytes, Buffer.from("\n")]);
      });
      await stream.write(Buffer.concat(parts));
    },
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

function sink(sendOne: (message: LogMessage) => Promise<void>, close: AsyncDisposable): LogSink {
  return {
    send: async (messages) => {
      for (const message of messages) await sendOne(message);
    },
    [Symbol.asyncDispose]: () => close[Symbol.asyncDispose](),
  };
}

function streamAddress(address: Exclude<Address, { scheme: "local" }>, options: Options): StreamAddress {
  if ("path" in address) return { kind: "unix", path: address.path };
  const { host, port } = address;
  if (address.scheme === "tcp") return { kind: "tcp", host, port };
  return {
    kind: "tls",
    host,
    port,
    tls: {
      ca: options["syslog-tls-ca-cert"],
      cert: options["syslog-tls-cert"],
      key: options["syslog-tls-key"],
      // Any value switches it on, as in Docker.
      skipVerify: options["syslog-tls-skip-verify"] !== undefined,
    },
  };
}

function localSocket(): string {
  const found = ["/dev/log", "/var/run/syslog", "/var/run/log"].find((path) => existsSync(path));
  if (!found) throw new TugError("unavailable", "Unix syslog delivery error");
  return found;
}

function parseAddress(text: string | undefined): Address {
  if (text === undefined || text === "") return { scheme: "local" };
  const match = /^([a-z+]+):\/\/(.*)$/s.exec(text);
  const scheme = match?.[1];
  const rest = match?.[2] ?? "";
  switch (scheme) {
    case "unix":
    case "unixgram":
      if (!existsSync(rest)) throw invalid(`stat ${rest}: no such file or directory`);
      return { scheme, path: rest };
    case "udp":
    case "tcp":
    case "tcp+tls": {
      const host = /^(?:\[([^\]]+)\]|([^:/]*))(?::(\d+))?\/?$/.exec(rest);
      if (!host) throw invalid(`syslog-address should be in form proto://address, got ${text}`);
      return {
        scheme,
        host: host[1] ?? host[2] ?? "",
        port: Number(host[3] ?? (scheme === "tcp+tls" ? 6514 : 514)),
      };
    }
    default:
      throw invalid(
        match
          ? `unsupported scheme: '${scheme}'`
          : `syslog-address should be in form proto://address, got ${text}`,
      );
  }
}

function parseFacility(text: string | undefined): number {
  if (text === undefined || text === "") return facilities.indexOf("daemon");
  const at = /^\d+$/.test(text) ? Number(text) : facilities.indexOf(text);
  if (at < 0 || at > 23) throw invalid("invalid syslog facility");
  return at;
}

function parseFormat(text: string | undefined): SyslogFormat {
  switch (text) {
    case undefined:
    case "":
      return "";
    case "rfc3164":
    case "rfc5424":
    case "rfc5424micro":
      return text;
    default:
      throw invalid("Invalid syslog format");
  }
}
