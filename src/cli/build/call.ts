import { parseBoolean } from "../../base/lib/boolean.ts";
import { parseCsv } from "../../base/lib/csv.ts";
import { invalid } from "../../base/lib/errors.ts";
import { formatExcerpt } from "../../base/spec/dockerfile/error.ts";
import type { SourceRange } from "../../base/spec/dockerfile/syntax.ts";
import { exitError } from "../command.ts";
import { splitPair } from "../flags/flag.ts";
import type { Output } from "../io/output.ts";

/** A question to the frontend, as --call has it. */
export interface FrontendCall {
  /** "frontend.lint", "frontend.outline", "frontend.targets", … */
  readonly requestId: string;
  readonly json: boolean;
  readonly ignoreStatus: boolean;
}

/** undefined: build. */
export function readCall(text: string, check: boolean): FrontendCall | undefined {
  let name = "";
  let json = false;
  let ignoreStatus = false;
  for (const field of parseCsv(check ? "check" : text)) {
    const [key, value] = splitPair(field);
    if (value === undefined) {
      if (name !== "") throw invalid(`invalid print value: ${text}`);
      name = key;
    } else if (key === "format") json = value === "json";
    else if (key === "ignorestatus") ignoreStatus = parseBoolean(value);
    else throw invalid(`invalid print field: ${field}`);
  }
  if (name === "" || name === "build") return undefined;
  const requestId = `frontend.${name === "check" ? "lint" : name}`;
  return { requestId, json, ignoreStatus };
}

/** Prints the frontend's answer; gives the exit code. */
export async function printAnswer(
  call: FrontendCall,
  answer: Readonly<Record<string, Uint8Array>>,
  out: Output,
): Promise<number> {
  const text = (name: string) => Buffer.from(answer[name] ?? []).toString();
  const json = text("result.json");
  if (call.json) await out.write(`${json}\n`);
  else if (call.requestId === "frontend.lint") await out.write(checkReport(json, text("result.txt")));
  else await out.write(text("result.txt") || `${json}\n`);
  const failure = call.requestId === "frontend.lint" ? failureOfCheck(json) : undefined;
  if (failure !== undefined) throw exitError(`ERROR: ${failure}`, 1);
  return call.ignoreStatus ? 0 : Number(text("result.statuscode") || 0);
}

function checkReport(json: string, text: string): string {
  const { warnings, buildError } = JSON.parse(json || "{}") as {
    warnings?: readonly unknown[] | null;
    buildError?: unknown;
  };
  const count = warnings?.length ?? 0;
  if (count > 0) {
    const said = count === 1 ? "1 warning has been found!" : `${count} warnings have been found!`;
    return `Check complete, ${said}\n${text}${buildError ? "\n" : ""}`;
  }
  return buildError ? "" : "Check complete, no warnings found.\n";
}

/** The error that a build would end with, with its lines. */
function failureOfCheck(json: string): string | undefined {
  const { buildError, sources } = JSON.parse(json || "{}") as {
    buildError?: {
      message: string;
      location?: { ranges?: readonly SourceRange[] | null; sourceIndex?: number };
    };
    sources?: readonly { filename: string; data: string }[];
  };
  if (!buildError) return undefined;
  const { ranges, sourceIndex = 0 } = buildError.location ?? {};
  const source = sources?.[sourceIndex];
  const excerpt = source
    ? formatExcerpt(source.filename, Buffer.from(source.data, "base64").toString(), ranges ?? [])
    : "";
  return `${buildError.message}\n${excerpt}`.trimEnd();
}
