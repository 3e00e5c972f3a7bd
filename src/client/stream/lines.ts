import type { ChunkSource } from "./frames.ts";

/** The lines of a stream as they arrive, without their ends; empty ones are left out. */
export async function* textLines(source: ChunkSource): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const chunk = await source.next();
    rest += chunk === null ? decoder.decode() : decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = chunk === null ? "" : (lines.pop() ?? "");
    for (const line of lines) if (line.trim() !== "") yield line;
    if (chunk === null) return;
  }
}
