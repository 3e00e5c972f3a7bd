import { invalid } from "../../base/lib/errors.ts";
import { ULIMIT_NAMES } from "../../core/runtime/spec/rlimits.ts";

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** Flags give "nofile=64:128"; the file gives {"nofile": {"Name": …, "Soft": …, "Hard": …}}. */
export function ulimits(map: Readonly<Record<string, unknown>>): readonly Ulimit[] {
  return Object.entries(map).map(([name, value]) => {
    const fail = (why: string) =>
      invalid(
        typeof value === "string"
          ? `invalid argument "${name}=${value}" for "--default-ulimit" flag: ${why}`
          : `default-ulimits: ${name}: ${why}`,
      );
    if (typeof value !== "string" && (typeof value !== "object" || value === null))
      throw fail('{"Hard": …, "Soft": …} is needed');
    if (!ULIMIT_NAMES.has(name)) throw fail(`invalid ulimit type: ${name}`);
    const { Soft, Hard } = typeof value === "object" ? fromFile(value) : fromFlag(value);
    if (!Number.isInteger(Soft) || !Number.isInteger(Hard)) throw fail("invalid ulimit");
    if (Hard !== -1 && (Soft === -1 || Soft > Hard))
      throw fail(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
    return { Name: name, Soft, Hard };
  });
}

function fromFile(value: { readonly Soft?: unknown; readonly Hard?: unknown }) {
  return { Soft: Number(value.Soft ?? value.Hard ?? 0), Hard: Number(value.Hard ?? value.Soft ?? 0) };
}

function fromFlag(text: string) {
  const [soft = "", hard = soft, more] = text.split(":");
  const number = (word: string) => (/^-?\d+$/.test(word) && more === undefined ? Number(word) : Number.NaN);
  return { Soft: number(soft), Hard: number(hard) };
}
