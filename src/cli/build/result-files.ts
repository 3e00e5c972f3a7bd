import { renameSync, rmSync, writeFileSync } from "node:fs";
import { invalid } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";

/** The id by which the image is known in the store that it went to. */
export function imageIdOf(response: Readonly<Record<string, string>>): string {
  return response["containerimage.config.digest"] ?? response["containerimage.digest"] ?? "";
}

/** An id file of an earlier build must not be taken for this one's. */
export function removeStaleId(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw invalid(`removing image ID file: remove ${path}: ${systemText(cause)}`, cause);
  }
}

export function writeId(path: string, response: Readonly<Record<string, string>>): void {
  try {
    writeFileSync(path, imageIdOf(response));
  } catch (cause) {
    throw invalid(`writing image ID file: open ${path}: ${systemText(cause)}`, cause);
  }
}

/** --metadata-file: what the exporters told, JSON in it taken out of its base64, and the build's ref; keys in order. */
export function writeMetadata(path: string, response: Readonly<Record<string, string>>, ref: string): void {
  const all = { ...response, "buildx.build.ref": `default/default/${ref}` };
  const decoded = Object.entries(all)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, objectIn(key === "result.json" ? value : base64Text(value)) ?? value]);
  const part = `${path}.${process.pid}.part`;
  try {
    writeFileSync(part, JSON.stringify(Object.fromEntries(decoded), undefined, 2));
    renameSync(part, path);
  } catch (cause) {
    rmSync(part, { force: true });
    throw invalid(`open ${path}: ${systemText(cause)}`, cause);
  }
}

function base64Text(text: string): string | undefined {
  const strict = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
  return strict.test(text) ? Buffer.from(text, "base64").toString() : undefined;
}

function objectIn(text: string | undefined): object | undefined {
  if (text === undefined || !/^\s*[{[]/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && Object.keys(value).length > 0 ? value : undefined;
  } catch {
    return undefined; // not JSON: a text as it is
  }
}
