import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CdiDocument } from "./spec.ts";

/** The CDI documents of these directories, later directories winning by file name; unreadable ones are passed over. */
export function cdiDocuments(directories: readonly string[]): readonly CdiDocument[] {
  const byFile = new Map<string, CdiDocument>();
  for (const directory of directories) {
    let names: string[];
    try {
      names = readdirSync(directory).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw error;
    }
    for (const name of names) {
      const document = parseCdi(name, readFileSync(join(directory, name), "utf8"));
      if (document) byFile.set(name, document);
    }
  }
  return [...byFile.values()];
}

function parseCdi(name: string, text: string): CdiDocument | undefined {
  if (!/\.(?:json|ya?ml)$/.test(name)) return undefined;
  try {
    const value: unknown = name.endsWith(".json") ? JSON.parse(text) : Bun.YAML.parse(text);
    return isDocument(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isDocument(value: unknown): value is CdiDocument {
  if (typeof value !== "object" || value === null) return false;
  const { kind, devices } = value as { kind?: unknown; devices?: unknown };
  return (
    typeof kind === "string" &&
    Array.isArray(devices) &&
    devices.every((device) => typeof device?.name === "string" && typeof device?.containerEdits === "object")
  );
}
