import { TugError } from "../../base/lib/errors.ts";
import type { ChunkSource } from "./frames.ts";

/** The JSON values of a stream of newline-separated (or merely concatenated on lines) objects, as they arrive. */
export async function* jsonLines<T>(source: ChunkSource): AsyncGenerator<T, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const chunk = await source.next();
    rest += chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = chunk === null ? "" : (lines.pop() ?? "");
    for (const line of lines) {
      if (line.trim() === "") continue;
      try {
        yield JSON.parse(line) as T;
      } catch (cause) {
        throw new TugError("internal", "the daemon's stream is not valid JSON", { cause });
      }
    }
    if (chunk === null) return;
  }
}
