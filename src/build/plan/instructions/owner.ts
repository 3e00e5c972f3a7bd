import type { Owner } from "../../graph.ts";

/** "user", "user:group"; undefined for "". */
export function ownerOf(text: string): Owner | undefined {
  if (text === "") return undefined;
  const at = text.indexOf(":");
  return at < 0
    ? { user: text, group: undefined }
    : { user: text.slice(0, at), group: text.slice(at + 1) || undefined };
}
