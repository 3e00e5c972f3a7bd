import { invalid } from "../../../../base/lib/errors.ts";
import { parseDuration } from "../../../../base/lib/timestamp.ts";
import { logAttributes } from "../../details.ts";
import type { Destination } from "../../forward/driver.ts";
import type { LogSink } from "../../forward/forwarder.ts";
import { openStream, type StreamAddress } from "../../forward/stream.ts";
import { renderTag } from "../../forward/tag.ts";
import type { LogContext } from "../../logging.ts";
import { parseBool, parseSize } from "../../options.ts";
import { EventTime, type PackableMap, pack } from "./msgpack.ts";

const booleans = [
  "fluentd-async",
  "fluentd-async-connect",
  "fluentd-request-ack",
  "fluentd-sub-second-precision",
];
const durations = [
  "fluentd-async-reconnect-interval",
  "fluentd-retry-wait",
  "fluentd-write-timeout",
  "fluentd-read-timeout",
];

/**
 * fluentd's forward protocol (v1, message mode). Buffering and retrying are the spool's business, so the options about them are checked and
 * otherwise without effect.
 */
export const fluentdDestination: Destination = {
  name: "fluentd",
  options: ["fluentd-address", "fluentd-buffer-limit", "fluentd-max-retries", ...booleans, ...durations],
  validate: (options) => {
    parseAddress(options["fluentd-address"]);
    for (const name of booleans) {
      if (options[name] !== undefined && parseBool(options[name]) === undefined) {
        throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(options[name])}: invalid syntax`);
      }
    }
    for (const name of durations) {
      if (options[name] !== undefined && parseDuration(options[name]) === undefined) {
        throw invalid(`time: invalid duration ${JSON.stringify(options[name])}`);
      }
    }
    const limit = options["fluentd-buffer-limit"];
    if (limit !== undefined && parseSize(limit) === undefined) throw invalid(`invalid size: '${limit}'`);
    const retries = options["fluentd-max-retries"];
    if (retries !== undefined && !/^\d+$/.test(retries)) {
      throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(retries)}: invalid syntax`);
    }
  },
  mustConnect: (options) =>
    !["fluentd-async", "fluentd-async-connect"].some((name) => parseBool(options[name] ?? "") === true),
  connect,
};

async function connect(container: LogContext, signal: AbortSignal): Promise<LogSink> {
  const stream = await openStream(parseAddress(container.options["fluentd-address"]), signal);
  const tag = renderTag(container.options["tag"] ?? "{{.ID}}", container);
  const precise = parseBool(container.options["fluentd-sub-second-precision"] ?? "") === true;
  const common: PackableMap = {
    container_id: container.id,
    container_name: `/${container.name.replace(/^\//, "")}`,
    ...logAttributes(container),
  };
  return {
    send: (messages) =>
      stream.write(
        Buffer.concat(
          messages.map((message) =>
            pack([
              tag,
              precise ? new EventTime(message.time) : Number(message.time / 1_000_000_000n),
              {
                ...common,
                source: message.stream,
                log: message.text,
                ...(message.partial ? { partial_message: "true" } : {}),
              },
            ]),
          ),
        ),
      ),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

/** "host:port", "tcp://…", "tls://…", "unix:///…"; host and port may be left out. */
function parseAddress(text: string | undefined): StreamAddress {
  if (text === undefined || text === "") return { kind: "tcp", host: "127.0.0.1", port: 24224 };
  const match = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(text);
  const scheme = match?.[1] ?? "tcp";
  const rest = match?.[2] ?? "";
  if (scheme === "unix") {
    if (rest === "" || rest === "/") throw invalid(`invalid fluentd-address (${text}): path is empty`);
    return { kind: "unix", path: rest };
  }
  if (scheme !== "tcp" && scheme !== "tls") {
    throw invalid(`invalid fluentd-address (${text}): unsupported scheme: '${scheme}'`);
  }
  const host = /^(?:\[([^\]]+)\]|([^:/]*))(?::(\d+))?$/.exec(rest);
  if (!host) throw invalid(`invalid fluentd-address (${text}): should be in the form host:port`);
  const place = { host: host[1] ?? (host[2] || "127.0.0.1"), port: Number(host[3] ?? 24224) };
  if (place.port > 65535) throw invalid(`invalid fluentd-address (${text}): invalid port`);
  return scheme === "tcp" ? { kind: "tcp", ...place } : { kind: "tls", ...place, tls: { skipVerify: false } };
}
