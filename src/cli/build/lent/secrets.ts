import { statSync } from "node:fs";
import { parseCsv } from "../../../base/lib/csv.ts";
import { invalid, isCode, messageOf } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { readWholeFileAside } from "../../../base/lib/whole-file.ts";
import { splitPair } from "../../flags/flag.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type Source = { readonly path: string } | { readonly variable: string };

/** BuildKit's bound (secretsprovider.MaxSecretSize). */
const maxSecret = 500 * 1024;

/**
 * --secret "id=name,src=path", "id=name,env=VARIABLE", "id=name,type=env,src=VARIABLE". Without either it is the variable of that name, or else
 * the file. Gives what reads them by id; a file must be there now.
 */
export function readSecrets(
  values: readonly string[],
  env: Environment,
): (id: string) => Promise<Uint8Array | undefined> {
  const sources = new Map<string, Source>();
  for (const text of values) {
    if (text === "") continue;
    const { id, source } = readSecret(text, env);
    if ("path" in source) checkFile(id, source.path);
    sources.set(id, source);
  }
  const pipes = new Map<string, Promise<Uint8Array>>();
  return async (id) => {
    const source = sources.get(id);
    if (!source) return undefined;
    if (!("path" in source)) return Buffer.from(env[source.variable] ?? "");
    const piped = pipes.get(source.path);
    if (piped) return await piped;
    const content = readFile(id, source.path);
    // What was read from a pipe is gone from there, and other steps ask for it, too.
    if (statSync(source.path, { throwIfNoEntry: false })?.isFIFO()) pipes.set(source.path, content);
    return await content;
  };
}

async function readFile(id: string, path: string): Promise<Uint8Array> {
  try {
    return await readWholeFileAside(path, maxSecret);
  } catch (cause) {
    if (isCode(cause, "invalid-argument")) throw tooBig(id, cause);
    throw invalid(`failed to read secret ${id}: open ${path}: ${systemText(cause)}`, cause);
  }
}

const tooBig = (id: string, cause?: unknown) =>
  invalid(`secret ${id} too big. max size ${maxSecret / 1024}kB`, cause);

function readSecret(text: string, env: Environment): { readonly id: string; readonly source: Source } {
  const fields: Record<string, string> = {};
  for (const field of secretFields(text)) {
    const [name, value] = splitPair(field);
    const key = name.toLowerCase();
    if (value === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`);
    if (key === "type" && value !== "file" && value !== "env")
      throw invalid(`unsupported secret type ${JSON.stringify(value)}`);
    if (!["type", "id", "src", "source", "env"].includes(key))
      throw invalid(`unexpected key '${key}' in '${field}'`);
    fields[key === "source" ? "src" : key] = value;
  }
  const { id = "", type, src = "" } = fields;
  if (id === "") throw invalid("secret missing ID");
  const variable = fields["env"] || (type === "env" ? src : "");
  if (variable !== "") return { id, source: { variable } };
  if (src !== "") return { id, source: { path: src } };
  return { id, source: env[id] === undefined ? { path: id } : { variable: id } };
}

function secretFields(text: string): readonly string[] {
  try {
    return parseCsv(text);
  } catch (cause) {
    throw invalid(`failed to parse csv secret: ${messageOf(cause)}`, cause);
  }
}

function checkFile(id: string, path: string): void {
  let size: number;
  try {
    size = statSync(path).size;
  } catch (cause) {
    throw invalid(`failed to stat ${path}: stat ${path}: ${systemText(cause)}`, cause);
  }
  if (size > maxSecret) throw tooBig(id);
}
