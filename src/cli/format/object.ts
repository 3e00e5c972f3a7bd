import { wrapTemplate } from "./list.ts";
import { compileTemplate, type ExecuteOptions } from "./template/execute.ts";

/** Renders one object as `--format` asks: `json`, or a Go template; ends with a newline. */
export function renderObject(value: object, format: string, options: ExecuteOptions = {}): string {
  const source = format === "json" ? "{{json .}}" : format;
  const run = wrapTemplate("template parsing error", () => compileTemplate(source, options));
  return `${wrapTemplate("template parsing error", () => run(value))}\n`;
}
