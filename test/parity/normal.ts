/** What legitimately differs: ids, times, sizes of things the two made separately, pids. */
export function normal(text: string): string {
  return (
    text
      .replaceAll("\r", "")
      .replace(/sha256:[0-9a-f]{64}/g, "<digest>")
      .replace(/\b[0-9a-f]{64}\b/g, "<id>")
      .replace(/\b[0-9a-f]{12}\b/g, "<short>")
      .replace(/\b172\.\d+\.\d+\.\d+/g, "<ip>")
      // The old client prints it when it hears of the failed start before its wait ended.
      .replace(/^time="[^"]*" level=error msg="error waiting for container: [^"]*"\n?/gm, "")
      .replace(/^time="[^"]*" /gm, "")
      .replace(/\/tmp\/tug-[\w-]+/g, "<root>")
      .replaceAll("crun create failed", "runc create failed")
      .replace(/[ \t]+$/gm, "")
      .trimEnd()
  );
}
