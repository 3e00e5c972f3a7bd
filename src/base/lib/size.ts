import { invalid } from "./errors.ts";

/** Go's %.<precision>g: significant digits, no trailing zeros, exponent form from 10^precision on. */
export function significant(value: number, precision: number): string {
  if (value === 0) return "0";
  const [mantissa = "0", exponent = "0"] = value.toExponential(precision - 1).split("e");
  const power = Number(exponent);
  const trim = (digits: string) => (digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits);
  if (power < -4 || power >= precision) {
    return `${trim(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trim(value.toFixed(Math.max(0, precision - 1 - power)));
}

export function scaled(
  size: number,
  base: number,
  units: readonly string[],
): { value: number; unit: string } {
  let value = size;
  let at = 0;
  while (value >= base && at < units.length - 1) {
    value /= base;
    at++;
  }
  return { value, unit: units[at] ?? "" };
}

const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/** A size in powers of 1000: "7.58MB". */
export function humanSize(size: number, precision = 4): string {
  const { value, unit } = scaled(size, 1000, decimalUnits);
  return significant(value, precision) + unit;
}

const powers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Reads a size such as "64m" or "1.5GiB"; the suffixes are powers of `base`. */
export function parseSize(text: string, base = 1024): number {
  const split = /^(.*[0-9. ])([^0-9. ]*)$/.exec(text);
  if (!split) throw invalid(`invalid size: '${text}'`);
  const number = (split[1] ?? "").replace(/ $/, "");
  const suffix = (split[2] ?? "").toLowerCase();
  if (!/^[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(number)) {
    throw invalid(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  }
  const value = Number(number);
  if (value < 0) throw invalid(`invalid size: '${text}'`);
  if (suffix === "" || suffix === "b") return Math.trunc(value);
  const power = powers[suffix[0] ?? ""];
  if (power === undefined || !/^.(b|ib)?$/.test(suffix)) throw invalid(`invalid suffix: '${suffix}'`);
  return Math.trunc(value * base ** power);
}
