import type { ContextEntry } from "./session.ts";

/** What a client may see of a result's files. Throws not-found and invalid-argument. */
export interface ReadableTree {
  file(path: string, range: { readonly offset: number; readonly length: number | undefined }): Uint8Array;
  /** Sorted by name; `pattern` as a shell has it, "" is all. */
  directory(path: string, pattern: string): readonly ContextEntry[];
  stat(path: string): ContextEntry;
}
