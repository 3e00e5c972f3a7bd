import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileContentStore } from "../file-store.ts";

/** A content store in a directory of its own that goes away with it: the fake for other folders' tests. */
export function temporaryContent(): AsyncDisposable & {
  readonly store: FileContentStore;
  readonly root: string;
  reopen(): FileContentStore;
} {
  const root = mkdtempSync(join(tmpdir(), "tug-content-"));
  return {
    store: new FileContentStore({ root }),
    root,
    reopen: () => new FileContentStore({ root }),
    async [Symbol.asyncDispose]() {
      rmSync(root, { recursive: true, force: true });
    },
  };
}
