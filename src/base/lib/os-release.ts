/** os-release(5): shell assignments. */
export function osRelease(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(.*))$/.exec(line.trim());
    if (match?.[1]) fields[match[1]] = (match[2] ?? match[3] ?? match[4] ?? "").replace(/\\(.)/g, "$1");
  }
  return fields;
}
