import { messageOf, TugError } from "../../base/lib/errors.ts";
import { alignColumns } from "./tabwriter.ts";

/** One field of a listing: what heads its column and how it is read from an item. */
export interface Field<T> {
  readonly header: string;
  /** A function result is a method of the format: `{{.Label "x"}}`. */
  readonly value: (item: T) => unknown;
}

/** How a noun is listed: every field a format may name, and the columns of the plain table. */
export interface ListSpec<T> {
  readonly fields: Readonly<Record<string, Field<T>>>;
  readonly columns: readonly string[];
  /** Field that `--quiet` prints alone. */
  readonly quiet: string;
  /** The Go type Docker's messages name for a field that does not exist. */
  readonly typeName: string;
}

export interface ListOptions {
  readonly format: string;
  readonly quiet?: boolean;
  /** Two tabwriter settings that differ for few commands. */
  readonly minWidth?: number;
  /** What `ps` says before the errors of a template; every other listing says the same of both. */
  readonly blame?: Blame;
}

/** Words before the errors of a template. */
export interface Blame {
  readonly parsing: string;
  readonly running: string;
}

/** Renders items as `--format` asks: the default table, `table TEMPLATE`, `json`, or a template a line. */
export async function renderList<T>(
  spec: ListSpec<T>,
  items: readonly T[],
  options: ListOptions,
): Promise<string> {
  const { format } = options;
  if (options.quiet && (format === "" || format === "table")) {
    return items.map((item) => `${spec.fields[spec.quiet]?.value(item)}\n`).join("");
  }
  if (format === "" || format === "table") return plainTable(spec, items, options.minWidth);
  if (format === "json") {
    const { toJson } = await import("./template/functions.ts");
    return items.map((item) => `${toJson(exposed(spec, item))}\n`).join("");
  }
  return await templated(spec, items, options);
}

function plainTable<T>(spec: ListSpec<T>, items: readonly T[], minWidth?: number): string {
  const fields = spec.columns.map((name) => spec.fields[name]).filter((field) => field !== undefined);
  const rows = items.map((item) => fields.map((field) => String(field.value(item))).join("\t"));
  return `${alignColumns([fields.map((field) => field.header).join("\t"), ...rows].join("\n"), minWidth)}\n`;
}

const templateBlame = { parsing: "template parsing error", running: "template parsing error" };

async function templated<T>(
  spec: ListSpec<T>,
  items: readonly T[],
  { format, minWidth, blame = templateBlame }: ListOptions,
): Promise<string> {
  const { compileTemplate } = await import("./template/execute.ts");
  const isTable = format.startsWith("table");
  const source = (isTable ? format.slice("table".length) : format)
    .trim()
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
  const run = wrapTemplate(blame.parsing, () =>
    compileTemplate(source, { missing: "struct", typeName: spec.typeName }),
  );
  const rows = wrapTemplate(blame.running, () =>
    items.map((item) => `${run(exposed(spec, item))}\n`).join(""),
  );
  if (!isTable) return rows;
  const { headerFunctions } = await import("./template/functions.ts");
  const headers: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(spec.fields))
    headers[name] = field.header === "" ? (label: unknown) => labelHeader(label) : field.header;
  const heading = wrapTemplate(blame.running, () =>
    compileTemplate(source, { functions: headerFunctions() })(headers),
  );
  return alignColumns(`${heading}\n${rows}`, minWidth);
}

/** Docker tries the template of `ps` on an empty container before it asks for any; throws what the listing would throw. */
export async function tryTemplate<T>(
  spec: ListSpec<T>,
  empty: T,
  format: string,
  blame: Blame,
): Promise<void> {
  const { compileTemplate } = await import("./template/execute.ts");
  const run = wrapTemplate(blame.parsing, () =>
    compileTemplate(format, { missing: "struct", typeName: spec.typeName }),
  );
  wrapTemplate(blame.running, () => run(exposed(spec, empty)));
}

/** `{{.Label "com.example.rack-id"}}` heads its column "rack id". */
function labelHeader(label: unknown): string {
  return (String(label).split(".").at(-1) ?? "").replace(/[-_]/g, " ");
}

/** The object a template sees: each field computed when it is asked for. */
export function exposed<T>(spec: ListSpec<T>, item: T): object {
  const names = Object.keys(spec.fields).sort();
  const target = {};
  for (const name of names) {
    Object.defineProperty(target, name, { enumerable: true, get: () => spec.fields[name]?.value(item) });
  }
  Object.defineProperty(target, "toJSON", { enumerable: false, value: () => marshalled(target) });
  return target;
}

/** Whole objects go through Go's json.Marshal, which escapes for HTML; single fields do not. */
function marshalled(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" && /[<>&]/.test(value) ? rawJson(htmlEscaped(JSON.stringify(value))) : value,
    ]),
  );
}

const htmlEscaped = (json: string) =>
  json.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);

/** JSON.rawJSON (ES2026), which TypeScript's library does not know yet. */
const rawJson = (text: string): unknown =>
  (JSON as typeof JSON & { rawJSON(text: string): unknown }).rawJSON(text);

/** Puts Docker's words before what went wrong in a template. */
export function wrapTemplate<T>(words: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new TugError("invalid-argument", `${words}: ${messageOf(error)}`, { cause: error });
  }
}
