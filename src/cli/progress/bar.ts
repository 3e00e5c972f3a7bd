import type { ProgressMessage } from "../../client/images/progress.ts";
import { humanSize } from "../format/units.ts";

type Detail = NonNullable<ProgressMessage["progressDetail"]>;

/**
 * A progress detail as text: a bar where the terminal has room for it, amounts, and the time left once it can be told
 * (`elapsed` milliseconds since it began). Empty when there is nothing to count.
 */
export function progressText(detail: Detail, width: number, elapsed: number): string {
  const { current = 0, total = 0, units = "" } = detail;
  if (current <= 0 && total <= 0) return "";
  const amount = (value: number) => (units === "" ? humanSize(value).padStart(8) : String(value));
  const unit = units === "" ? "" : ` ${units}`;
  if (total <= 0) return `${amount(current)}${unit}`;
  const done = Math.min(50, Math.floor(Math.floor((current / total) * 100) / 2));
  const bar = width > 110 ? `[${"=".repeat(done)}>${" ".repeat(50 - done)}] ` : "";
  const of = current > total ? "" : `/${units === "" ? humanSize(total) : total}`; // a total passed was none
  const counts = detail.hidecounts ? "" : `${amount(current)}${of}${unit}`;
  const tellsTime = width > 50 && current > 0 && done < 50 && elapsed >= 1000;
  return `${bar}${counts}${tellsTime ? ` ${span(((total - current) * elapsed) / current)}` : ""}`;
}

/** Whole seconds in Go's words: "1m30s". */
function span(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : "";
  return `${head}${seconds % 60}s`;
}
