import { invalid } from "../../../../base/lib/errors.ts";

/** A volume that is a mount of its own: `--opt type=… --opt device=… --opt o=…`, as mount(8) would take them. */
export interface LocalOptions {
  readonly type: string;
  readonly device: string;
  readonly options: readonly string[];
}

/** Options that only make sense together (Docker's local driver). */
const needs: Readonly<Record<string, readonly string[]>> = {
  device: ["type"],
  type: ["device"],
  o: ["device", "type"],
};

/** Undefined for a plain directory. Throws Docker's texts for unknown, missing and impossible options. */
export function parseLocalOptions(options: Readonly<Record<string, string>>): LocalOptions | undefined {
  for (const name of Object.keys(options)) {
    if (!["type", "o", "device", "size"].includes(name))
      throw invalid(`invalid option: ${JSON.stringify(name)}`);
  }
  for (const [name, required] of Object.entries(needs)) {
    if (options[name] === undefined) continue;
    const missing = required.find((other) => options[other] === undefined);
    if (missing) throw invalid(`missing required option: ${JSON.stringify(missing)}`);
  }
  if (options["size"] !== undefined) {
    if (!/^\d+(?:\.\d+)?\s*(?:[kmgtp]i?)?b?$/i.test(options["size"])) {
      throw invalid(`invalid size: '${options["size"]}'`);
    }
    throw invalid("quota size requested but no quota support");
  }
  const { type, device } = options;
  if (type === undefined || device === undefined) return undefined;
  return { type, device, options: (options["o"] ?? "").split(",").filter((option) => option !== "") };
}
