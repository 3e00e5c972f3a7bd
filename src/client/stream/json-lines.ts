import { TugError } from "../../base/lib/errors.ts";
import type { ChunkSource } from "./frames.ts";
import { textLines } from "./lines.ts";

/** The JSON values of a stream of newline-separated (or merely concatenated on lines) objects, as they arrive. */
export async function* jsonLines<T>(source: ChunkSource): AsyncGenerator<T, void, void> {
  for await (const line of textLines(source)) {
    let value: T;
    try {
      value = JSON.parse(line) as T;
    } catch (cause) {
      throw new TugError("internal", "the daemon's stream is not valid JSON", { cause });
    }
    yield value;
  }
}
