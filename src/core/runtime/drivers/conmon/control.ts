import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { conflict } from "../../../../base/lib/errors.ts";

/** Writes a line to conmon's control fifo; without a reader the monitor is gone. */
export async function control(state: string, line: string): Promise<void> {
  try {
    const fifo = await open(join(state, "ctl"), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      await fifo.write(line);
    } finally {
      await fifo.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENXIO" || code === "ENOENT")
      throw conflict("the container's monitor is not running", error);
    throw error;
  }
}
