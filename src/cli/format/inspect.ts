import { isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";
import { exitError } from "../command.ts";
import type { Context } from "../context.ts";
import { text } from "../flags/flag.ts";
import { indentJson } from "./json.ts";

/** A noun whose templates see a Go struct alone: its name in errors, and the fields that JSON may leave out. */
export interface StructType {
  readonly name: string;
  readonly absent: Readonly<Record<string, unknown>>;
}

export const formatFlag = text("f", "How to print: 'json' or a Go template");

/**
 * Prints what `find` gives for each operand: one indented JSON list, or a template's line for each. What cannot be found is
 * told at the end and makes the exit code 1.
 */
export async function printInspected(
  context: Context,
  operands: readonly string[],
  format: string,
  find: (operand: string) => Promise<string>,
  type?: StructType,
): Promise<number> {
  const found: string[] = [];
  const failures: string[] = [];
  const turns = new Semaphore(maxAsked);
  const asked = operands.map(async (operand) => {
    using _turn = await turns.acquire();
    return await find(operand);
  });
  for (const job of asked) job.catch(() => undefined); // told below, in order
  for (const job of asked) {
    try {
      found.push((await job).trim());
    } catch (error) {
      if (isCode(error, "unavailable")) throw error;
      failures.push(messageOf(error));
    }
  }
  await context.out.write(await render(found, format, failures, type));
  if (failures.length > 0) throw new TugError("not-found", failures.join("\n"));
  return 0;
}

/** So many are asked for at a time: the daemon answers one after the other, and more connections cost more than they bring. */
const maxAsked = 4;

async function render(
  found: readonly string[],
  format: string,
  failures: string[],
  type: StructType | undefined,
): Promise<string> {
  if (format === "") return found.length === 0 ? "[]\n" : `${indentJson(`[${found.join(",")}]`)}\n`;
  if (format === "json") return found.length === 0 ? "[]\n" : `[${found.join(",")}]\n`;
  const [{ compileTemplate }, { shapeOf }, { alias, parseGoJson }] = await Promise.all([
    import("./template/execute.ts"),
    import("./template/shapes.ts"),
    import("./template/nil.ts"),
  ]);
  let run: (data: unknown) => string;
  try {
    run = compileTemplate(
      format,
      type ? { missing: "struct", typeName: type.name, shapeOf } : { missing: "map-error", shapeOf },
    );
  } catch (error) {
    throw exitError(`template parsing error: ${messageOf(error)}`, 64, error);
  }
  const view = (text: string) => {
    const object = parseGoJson(text);
    if (typeof object !== "object" || object === null) return object;
    for (const [name, value] of Object.entries(type?.absent ?? {})) alias(object, name, value);
    return object;
  };
  try {
    return found.length === 0 ? "\n" : found.map((text) => `${run(view(text))}\n`).join("");
  } catch (error) {
    failures.length = 0;
    failures.push(`template parsing error: ${messageOf(error)}`);
    return "\n";
  }
}
