import { invalid, TugError } from "../../base/lib/errors.ts";

/** Options of every driver that is named in Docker's documentation of log attributes. */
export const detailOptions = ["labels", "labels-regex", "env", "env-regex", "tag"] as const;
/** Options that Docker itself takes for every driver. */
export const deliveryOptions = ["mode", "max-buffer-size"] as const;

/** Throws Docker's text for an option the driver does not have. */
export function checkOptionNames(
  driver: string,
  options: Readonly<Record<string, string>>,
  known: readonly string[],
): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw invalid(`unknown log opt '${name}' for ${driver} log driver`);
  }
}

/** `mode` and `max-buffer-size`, which belong together. */
export function checkDelivery(options: Readonly<Record<string, string>>): void {
  const mode = options["mode"];
  if (mode !== undefined && !["", "blocking", "non-blocking"].includes(mode)) {
    throw invalid(`logger: logging mode not supported: ${mode}`);
  }
  const size = options["max-buffer-size"];
  if (size === undefined) return;
  if (mode !== "non-blocking") {
    throw invalid(`logger: max-buffer-size option is only supported with 'mode=non-blocking'`);
  }
  if (parseSize(size) === undefined)
    throw invalid(`error parsing option max-buffer-size: invalid size: '${size}'`);
}

const factors: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** "10m", "1.5 GiB", "512" in bytes as go-units reads them (1024 steps), or undefined. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s?(?:([kmgtp])i?)?b?$/i.exec(text);
  if (!match) return undefined;
  return Math.floor(Number(match[1]) * 1024 ** (factors[(match[2] ?? "").toLowerCase()] ?? 0));
}

/** Go's strconv.ParseBool. */
export function parseBool(text: string): boolean | undefined {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  return undefined;
}

/** What `logs` answers for a driver that keeps nothing. */
export function unreadable(): TugError {
  return new TugError("not-implemented", "configured logging driver does not support reading");
}
