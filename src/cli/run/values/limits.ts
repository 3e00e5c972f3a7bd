import { invalid } from "../../../base/lib/errors.ts";
import type { RestartPolicy, ThrottleDevice } from "../../../base/spec/docker/api.gen.ts";
import { parseInteger } from "../../flags/flag.ts";
import { parseSize } from "../../format/units.ts";

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

const ulimitNames = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

/** `--ulimit name=soft[:hard]`; -1 is unlimited. */
export function parseUlimit(value: string): Ulimit {
  const at = value.indexOf("=");
  if (at < 0) throw invalid(`invalid ulimit argument: ${value}`);
  const name = value.slice(0, at);
  if (!ulimitNames.has(name)) throw invalid(`invalid ulimit type: ${name}`);
  const limits = value.slice(at + 1).split(":");
  if (limits.length > 2) {
    throw invalid(
      `too many limit value arguments - ${value.slice(at + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  }
  const [Soft = 0, Hard = Soft] = limits.map((limit) => parseInteger(limit));
  if (Hard !== -1 && (Soft === -1 || Soft > Hard)) {
    throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
  }
  return { Name: name, Soft, Hard };
}

/** `--cpus 1.5` in billionths of a CPU, exactly. */
export function parseCpus(value: string): number {
  const fraction = /^([+-]?\d+)\/(\d+)$/.exec(value);
  if (fraction) {
    const nano = (BigInt(fraction[1] ?? "0") * 1_000_000_000n) / BigInt(fraction[2] ?? "1");
    if (BigInt(fraction[1] ?? "0") * 1_000_000_000n !== nano * BigInt(fraction[2] ?? "1"))
      throw invalid("value is too precise");
    return Number(nano);
  }
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(value);
  if (!match || (match[2] === "" && (match[3] ?? "") === ""))
    throw invalid(`failed to parse ${value} as a rational number`);
  const [, sign, whole = "", decimals = "", exponent = "0"] = match;
  const shift = 9 - decimals.length + Number(exponent);
  const digits = BigInt(`${whole}${decimals}`);
  if (shift > 30) throw invalid("value is too precise");
  const scaled = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
  if (shift < 0 && scaled * 10n ** BigInt(-shift) !== digits) throw invalid("value is too precise");
  return Number(sign === "-" ? -scaled : scaled);
}

/** Bytes with a unit; -1 where it may mean "unlimited". */
export function parseMemory(value: string, unlimited = false): number {
  return unlimited && value === "-1" ? -1 : parseSize(value);
}

function devicePath(value: string): [string, string] {
  const at = value.indexOf(":");
  if (at <= 0 || at === value.length - 1) throw invalid(`bad format: ${value}`);
  const path = value.slice(0, at);
  if (!path.startsWith("/dev/")) throw invalid(`bad format for device path: ${value}`);
  return [path, value.slice(at + 1)];
}

/** `--device-read-bps /dev/sda:1mb`. */
export function parseByteRate(value: string): ThrottleDevice {
  const [Path, rate] = devicePath(value);
  try {
    return { Path, Rate: parseSize(rate) };
  } catch (error) {
    throw invalid(
      `invalid rate for device: ${value}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
      error,
    );
  }
}

/** `--device-read-iops /dev/sda:1000`. */
export function parseOperationRate(value: string): ThrottleDevice {
  const [Path, rate] = devicePath(value);
  if (!/^\d+$/.test(rate)) {
    throw invalid(
      `invalid rate for device: ${value}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  }
  return { Path, Rate: Number(rate) };
}

/** `--blkio-weight-device /dev/sda:500`. */
export function parseWeight(value: string): { Path: string; Weight: number } {
  const [Path, weight] = devicePath(value);
  const number = /^\d+$/.test(weight) ? Number(weight) : -1;
  if (number !== 0 && (number < 10 || number > 1000)) throw invalid(`invalid weight for device: ${value}`);
  return { Path, Weight: number };
}

/** `--restart no | always | unless-stopped | on-failure[:max]`; the daemon judges the name. */
export function parseRestart(value: string): RestartPolicy {
  if (value === "") return {};
  const at = value.indexOf(":");
  const name = at < 0 ? value : value.slice(0, at);
  if (at === 0) throw invalid("invalid restart policy format: no policy provided before colon");
  if (at < 0) return { Name: name, MaximumRetryCount: 0 };
  const count = value.slice(at + 1);
  if (!/^[+-]?\d+$/.test(count)) {
    throw invalid("invalid restart policy format: maximum retry count must be an integer");
  }
  return { Name: name, MaximumRetryCount: Number(count) };
}
