/** The daemon's own log: levelled, structured, one line a record. Passed in, never imported as a global. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

/** How a record is written: logfmt, or one JSON object a line (dockerd's --log-format). */
export type LogFormat = "text" | "json";

export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  /** A log that adds `fields` to every record. */
  with(fields: Record<string, unknown>): Log;
}

const order: readonly LogLevel[] = ["debug", "info", "warn", "error", "fatal"];

/** Writes lines (time, level, msg, fields) through `write`, dropping records below `level`. */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = (line) => process.stderr.write(line),
  base: Record<string, unknown> = {},
  format: LogFormat = "text",
): Log {
  const emit = (at: LogLevel, message: string, fields?: Record<string, unknown>) => {
    if (order.indexOf(at) < order.indexOf(level)) return;
    const plain = (value: unknown) => (value instanceof Error ? value.message : value);
    if (format === "json") {
      const own = Object.entries({ ...base, ...fields }).map(([key, value]) => [key, plain(value)]);
      const record = { ...Object.fromEntries(own), level: at, msg: message, time: new Date().toISOString() };
      return write(`${JSON.stringify(record)}\n`);
    }
    let line = `time=${JSON.stringify(new Date().toISOString())} level=${at} msg=${JSON.stringify(message)}`;
    for (const [key, value] of Object.entries({ ...base, ...fields })) {
      line += ` ${key}=${JSON.stringify(plain(value)) ?? "null"}`;
    }
    write(`${line}\n`);
  };
  return {
    debug: (m, f) => emit("debug", m, f),
    info: (m, f) => emit("info", m, f),
    warn: (m, f) => emit("warn", m, f),
    error: (m, f) => emit("error", m, f),
    with: (fields) => createLog(level, write, { ...base, ...fields }, format),
  };
}

export const silentLog: Log = createLog("fatal", () => undefined);
