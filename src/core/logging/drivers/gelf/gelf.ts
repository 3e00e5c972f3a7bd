import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { deflate, gzip } from "node:zlib";
import { invalid } from "../../../../base/lib/errors.ts";
import { logAttributes } from "../../details.ts";
import type { Destination } from "../../forward/driver.ts";
import type { LogSink } from "../../forward/forwarder.ts";
import type { LogMessage } from "../../forward/message.ts";
import { openStream } from "../../forward/stream.ts";
import { renderTag } from "../../forward/tag.ts";
import { openUdp } from "../../forward/udp.ts";
import type { LogContext } from "../../logging.ts";

type Options = Readonly<Record<string, string>>;

const gzipAsync = promisify(gzip);
const deflateAsync = promisify(deflate);

/** GELF 1.1 (Graylog): JSON by UDP, compressed and in chunks, or by TCP with a NUL after each message. */
export const gelfDestination: Destination = {
  name: "gelf",
  options: [
    "gelf-address",
    "gelf-compression-type",
    "gelf-compression-level",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
  ],
  validate: (options) => {
    const { scheme } = parseAddress(options["gelf-address"]);
    for (const name of ["gelf-compression-type", "gelf-compression-level"]) {
      if (options[name] !== undefined && scheme !== "udp")
        throw invalid("compression is only supported on UDP");
    }
    for (const name of ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"]) {
      const value = options[name];
      if (value === undefined) continue;
      if (scheme !== "tcp") throw invalid(`${JSON.stringify(name)} is only valid for TCP`);
      if (!/^\d+$/.test(value)) throw invalid(`${JSON.stringify(name)} must be a positive integer`);
    }
    compression(options);
  },
  mustConnect: (options) => parseAddress(options["gelf-address"]).scheme === "tcp",
  connect,
};

async function connect(container: LogContext, signal: AbortSignal): Promise<LogSink> {
  const { scheme, host, port } = parseAddress(container.options["gelf-address"]);
  const encode = messageEncoder(container);
  if (scheme === "tcp") {
    const stream = await openStream({ kind: "tcp", host, port }, signal);
    return {
      send: (messages) =>
        stream.write(Buffer.concat(messages.flatMap((message) => [encode(message), Buffer.alloc(1)]))),
      [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
    };
  }
  const udp = openUdp(host, port);
  const { type, level } = compression(container.options);
  return {
    send: async (messages) => {
      for (const message of messages) {
        const plain = encode(message);
        const packed =
          type === "none" ? plain : await (type === "gzip" ? gzipAsync : deflateAsync)(plain, { level });
        for (const datagram of chunks(packed)) await udp.send(datagram);
      }
    },
    [Symbol.asyncDispose]: () => udp[Symbol.asyncDispose](),
  };
}

/** Fields as Docker names them; whoever reads the log filters by these. */
function messageEncoder(container: LogContext): (message: LogMessage) => Buffer {
  const extra = logAttributes(container, (key) => `_${key}`);
  const fields = {
    _container_id: container.id,
    _container_name: container.name.replace(/^\//, ""),
    _image_id: container.imageId,
    _image_name: container.imageName,
    _command: container.command,
    _tag: renderTag(container.options["tag"] ?? "{{.ID}}", container),
    _created: container.created,
    ...extra,
  };
  const host = hostname();
  return (message) =>
    Buffer.from(
      JSON.stringify({
        version: "1.1",
        host,
        short_message: message.text.toString(),
        timestamp: Number(message.time / 1_000_000n) / 1000,
        level: message.stream === "stderr" ? 3 : 6,
        ...fields,
      }),
    );
}

const chunkSize = 1420;
const chunkHeader = 12;

/** A datagram as it is, or numbered chunks of it: magic, message id, number, count (GELF, "Chunking"). */
function chunks(bytes: Buffer): readonly Buffer[] {
  if (bytes.length <= chunkSize) return [bytes];
  const room = chunkSize - chunkHeader;
  const count = Math.ceil(bytes.length / room);
  // The receiver takes at most 128; a 16 KiB line stays far below.
  if (count > 128) return [];
  const id = randomBytes(8);
  return Array.from({ length: count }, (_, i) =>
    Buffer.concat([Buffer.of(0x1e, 0x0f), id, Buffer.of(i, count), bytes.subarray(i * room, (i + 1) * room)]),
  );
}

function compression(options: Options): { readonly type: "gzip" | "zlib" | "none"; readonly level: number } {
  const unknown = (name: string, value: string) =>
    invalid(`unknown value ${JSON.stringify(value)} for log opt ${JSON.stringify(name)} for gelf log driver`);
  const type = options["gelf-compression-type"] ?? "gzip";
  if (type !== "gzip" && type !== "zlib" && type !== "none") throw unknown("gelf-compression-type", type);
  const level = options["gelf-compression-level"] ?? "1";
  if (!/^(?:-1|\d)$/.test(level)) throw unknown("gelf-compression-level", level);
  return { type, level: Number(level) };
}

function parseAddress(text: string | undefined): {
  readonly scheme: "udp" | "tcp";
  readonly host: string;
  readonly port: number;
} {
  if (text === undefined || text === "") throw invalid("gelf-address is a required parameter");
  const match = /^([a-z]+):\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d+)$/.exec(text);
  if (!/^[a-z]+:\/\//.test(text))
    throw invalid(`gelf-address should be in form proto://address, got ${text}`);
  if (!match) throw invalid(`gelf: please provide gelf-address as proto://host:port`);
  const scheme = match[1];
  if (scheme !== "udp" && scheme !== "tcp") throw invalid("gelf: endpoint needs to be TCP or UDP");
  return { scheme, host: match[2] ?? match[3] ?? "", port: Number(match[4]) };
}
