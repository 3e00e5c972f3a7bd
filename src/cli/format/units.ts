import { invalid } from "../../base/lib/errors.ts";
import { humanSize, parseSize, scaled, significant } from "../../base/lib/size.ts";

export { humanSize, parseSize, significant };

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/** A size in powers of 1024: "23.54GiB". */
export function binarySize(size: number): string {
  const { value, unit } = scaled(size, 1024, binaryUnits);
  return significant(value, 4) + unit;
}

const nanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's time.ParseDuration, in nanoseconds. */
export function parseDuration(text: string): number {
  const bad = () => invalid(`time: invalid duration ${JSON.stringify(text)}`);
  const sign = text.startsWith("-") ? -1 : 1;
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") throw bad();
  let total = 0;
  while (rest !== "") {
    const match = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest);
    if (!match) throw bad();
    const [whole, number, unit = ""] = match;
    if (unit === "") throw invalid(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = nanoseconds[unit];
    if (scale === undefined) {
      throw invalid(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    }
    total += Number(number) * scale;
    rest = rest.slice(whole.length);
  }
  return Math.round(total) * sign;
}
