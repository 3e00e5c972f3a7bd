import { existsSync } from "node:fs";
import type { Clock } from "../../../../base/lib/clock.ts";
import { TugError } from "../../../../base/lib/errors.ts";
import { shortId } from "../../../../base/lib/ids.ts";
import { UnixDatagram } from "../../../../base/sys/net/unix-datagram.ts";
import { logAttributes } from "../../details.ts";
import type { Destination } from "../../forward/driver.ts";
import type { LogSink } from "../../forward/forwarder.ts";
import type { LogMessage } from "../../forward/message.ts";
import { renderTag } from "../../forward/tag.ts";
import type { LogContext } from "../../logging.ts";

const defaultSocket = "/run/systemd/journal/socket";

/** journald, by its native protocol (systemd, "Native Journal Protocol"), with the fields Docker sets. */
export function journaldDestination(deps: { readonly clock: Clock; readonly socket?: string }): Destination {
  const socket = deps.socket ?? defaultSocket;
  return {
    name: "journald",
    options: [],
    validate: () => undefined,
    mustConnect: () => true,
    connect: (container, signal) => connect(container, signal, socket, deps.clock),
  };
}

async function connect(
  container: LogContext,
  signal: AbortSignal,
  path: string,
  clock: Clock,
): Promise<LogSink> {
  if (!existsSync(path)) throw new TugError("unavailable", "journald is not enabled on this host");
  const socket = new UnixDatagram(path);
  const encode = entryEncoder(container);
  return {
    send: async (messages) => {
      for (const message of messages) {
        const bytes = encode(message);
        while (!socket.send(bytes)) await clock.sleep(10, signal);
      }
    },
    [Symbol.asyncDispose]: async () => socket[Symbol.dispose](),
  };
}

function entryEncoder(container: LogContext): (message: LogMessage) => Buffer {
  const tag = renderTag(container.options["tag"] ?? "{{.ID}}", container);
  const common = Buffer.concat(
    Object.entries({
      CONTAINER_ID: shortId(container.id),
      CONTAINER_ID_FULL: container.id,
      CONTAINER_NAME: container.name.replace(/^\//, ""),
      CONTAINER_TAG: tag,
      IMAGE_NAME: container.imageName,
      SYSLOG_IDENTIFIER: tag,
      ...logAttributes(container, fieldName),
    }).map(([name, value]) => field(name, Buffer.from(value))),
  );
  return (message) =>
    Buffer.concat([
      field("MESSAGE", message.text),
      field("PRIORITY", Buffer.from(message.stream === "stderr" ? "3" : "6")),
      field("SYSLOG_TIMESTAMP", Buffer.from(timestamp(message.time))),
      ...(message.partial ? [field("CONTAINER_PARTIAL_MESSAGE", Buffer.from("true"))] : []),
      common,
    ]);
}

/** "NAME=value", or with a length in front when the value holds a newline. */
function field(name: string, value: Buffer): Buffer {
  if (!value.includes(10)) return Buffer.concat([Buffer.from(`${name}=`), value, Buffer.from("\n")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from("\n")]);
}

/** journald takes upper case letters, digits and underscores, not beginning with an underscore. */
function fieldName(key: string): string {
  return key
    .toUpperCase()
    .replace(/[^A-Z0-9_]/g, "_")
    .replace(/^[_0-9]+/, "");
}

function timestamp(nanos: bigint): string {
  const at = new Date(Number(nanos / 1_000_000n)).toISOString();
  return `${at.slice(0, 20)}${(nanos % 1_000_000_000n).toString().padStart(9, "0")}Z`;
}
