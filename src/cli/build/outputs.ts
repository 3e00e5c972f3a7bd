import { invalid } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { nodeFs } from "../io/builtin.ts";
import { booleanOr, csvPairs } from "./pairs.ts";

/** An exporter with where on this machine its result goes; undefined: it stays at the daemon, or goes to a registry. */
export interface BuildOutput {
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
  readonly target:
    | { readonly kind: "directory" | "file"; readonly path: string }
    | { readonly kind: "stdout" }
    | undefined;
}

interface OutputOptions {
  readonly outputs: readonly string[];
  readonly push: boolean;
  readonly load: boolean;
  readonly tags: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly stdoutIsTerminal: boolean;
}

/** What --output, --push, --load and --tag ask for together. "moby" is the daemon's own image store, on the wire as for Docker's own client. */
export function readOutputs(options: OutputOptions): readonly BuildOutput[] {
  const names = options.tags.map(checkedTag).join(",");
  const asked = options.outputs
    .filter((text) => text !== "")
    .map((text) => readOutput(text, options.stdoutIsTerminal));
  if (asked.filter(({ target }) => target?.kind === "stdout").length > 1)
    throw invalid("multiple outputs configured to write to stdout");
  const outputs = options.push ? asPushed(asked) : [...asked];
  const loads = ({ type, target }: BuildOutput) => type === "docker" && target === undefined;
  if (options.load && !outputs.some(loads)) outputs.push({ type: "docker", attrs: {}, target: undefined });
  if (outputs.length === 0) outputs.push({ type: "image", attrs: {}, target: undefined });
  return outputs
    .filter(({ type }) => type !== "cacheonly")
    .map((output) => {
      const type = output.type === "image" || loads(output) ? "moby" : output.type;
      const named =
        names !== "" && (type === "moby" || type === "oci" || type === "docker") ? { name: names } : {};
      const attrs: Readonly<Record<string, string>> = { ...output.attrs, ...options.annotations, ...named };
      if (type === "moby" && booleanOr(attrs["push"], false) && !attrs["name"])
        throw invalid("tag is needed when pushing to registry");
      return { ...output, type, attrs };
    });
}

function checkedTag(tag: string): string {
  try {
    parseReference(tag);
    return tag;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(`invalid tag ${JSON.stringify(tag)}: ${why}`, cause);
  }
}

/** --push turns image outputs into pushed ones, or adds one. */
function asPushed(asked: readonly BuildOutput[]): BuildOutput[] {
  const pushed = (attrs: Readonly<Record<string, string>>) => ({ unpack: "false", ...attrs, push: "true" });
  if (!asked.some(({ type }) => type === "image"))
    return [...asked, { type: "image", attrs: pushed({}), target: undefined }];
  return asked.map((output) =>
    output.type === "image" ? { ...output, attrs: pushed(output.attrs) } : output,
  );
}

function readOutput(text: string, stdoutIsTerminal: boolean): BuildOutput {
  if (text === "-") return withTarget("tar", {}, "-", stdoutIsTerminal);
  // A bare path is a folder.
  if (!text.startsWith("type=") && !text.includes(",") && !text.includes("="))
    return withTarget("local", {}, text, stdoutIsTerminal);
  const { type = "", dest = "", ...attrs } = csvPairs(text);
  if (type === "") throw invalid("type is required for output");
  if (type === "registry")
    return { type: "image", attrs: { unpack: "false", ...attrs, push: "true" }, target: undefined };
  return withTarget(type, attrs, dest, stdoutIsTerminal);
}

function withTarget(
  type: string,
  attrs: Readonly<Record<string, string>>,
  dest: string,
  stdoutIsTerminal: boolean,
): BuildOutput {
  const archive = type === "oci" || type === "docker";
  if (type === "local" || (archive && !booleanOr(attrs["tar"], true)))
    return { type, attrs, target: { kind: "directory", path: checkedFolder(type, dest) } };
  if (type !== "tar" && !archive) return { type, attrs, target: undefined };
  if (dest === "" && type === "docker") return { type, attrs, target: undefined };
  if (dest !== "" && dest !== "-") return { type, attrs, target: { kind: "file", path: checkedFile(dest) } };
  if (stdoutIsTerminal)
    throw invalid(`dest file is required for ${type} exporter. refusing to write to console`);
  return { type, attrs, target: { kind: "stdout" } };
}

function checkedFolder(type: string, path: string): string {
  if (path === "") throw invalid(`dest is required for ${type} exporter`);
  if (path === "-") throw invalid(`dest cannot be stdout for ${type} exporter`);
  if (statOf(path, "directory")?.isDirectory() === false)
    throw invalid(`destination directory ${path} is a file`);
  return path;
}

function checkedFile(path: string): string {
  if (statOf(path, "file")?.isDirectory()) throw invalid(`destination file ${path} is a directory`);
  return path;
}

function statOf(path: string, what: string) {
  try {
    return nodeFs().statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw invalid(`invalid destination ${what}: stat ${path}: ${systemText(error)}`, error);
  }
}
