/** What legitimately differs: ids, times, sizes of things the two made separately, pids. */
export function normal(text: string): string {
  return (
    text
      .replaceAll("\r", "")
      // Docker has made the first letters of its messages small since.
      .replace(
        /(Error response from daemon: )([A-Z])(?=[a-z])/g,
        (_, prefix, letter) => prefix + letter.toLowerCase(),
      )
      .replace(/sha256:[0-9a-f]{64}/g, "<digest>")
      .replace(/\b[0-9a-f]{64}\b/g, "<id>")
      .replace(/\b[0-9a-f]{12}\b/g, "<short>")
      .replace(/\b172\.\d+\.\d+\.\d+/g, "<ip>")
      // The old client prints it when it hears of the failed start before its wait ended.
      .replace(/^time="[^"]*" level=error msg="error waiting for container: [^"]*"\n?/gm, "")
      .replace(/^time="[^"]*" /gm, "")
      .replace(/\/tmp\/tug-[\w-]+/g, "<root>")
      // Docker prints labels in the random order of a Go map.
      .replaceAll("bb=2,a=1", "a=1,bb=2")
      .replaceAll("crun create failed", "runc create failed")
      .replaceAll('"Runtime":"crun"', '"Runtime":"runc"')
      // In whole HostConfigs: Docker masks more paths since, and calls the default network by its name.
      .replace(/"MaskedPaths":\[[^\]]+\]/g, '"MaskedPaths":[<paths>]')
      .replaceAll('"NetworkMode":"default"', '"NetworkMode":"bridge"')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, (time) =>
        time.startsWith("0001") ? "<never>" : "<time>",
      )
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} [+-]?\w+/g, "<time>")
      .replace(/\b02:42(?::[0-9a-f]{2}){4}\b/g, "<mac>")
      .replace(/^\d+ +\?$/gm, "<pid> ?")
      // How long it ran is told since 23.
      .replace(/"execDuration":"\d+",/g, "")
      .replace(/^Total reclaimed space: .*$/gm, "Total reclaimed space: <size>")
      .replace(/[ \t]+$/gm, "")
      .trimEnd()
  );
}
