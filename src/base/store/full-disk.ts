import { TugError } from "../lib/errors.ts";

/** Runs a write to a store; a full disk is told as such and not as SQLite's own error. */
export function tellingFullDisk<R>(write: () => R): R {
  try {
    return write();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "SQLITE_FULL") {
      throw new TugError("resource-exhausted", "no space left on device", { cause: error });
    }
    throw error;
  }
}
