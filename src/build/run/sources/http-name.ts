/**
 * Name of a file that came from a URL: as the server says in Content-Disposition, else the last part of the URL's path, else
 * "download" (BuildKit, source/http). Never more than one component.
 */
export function httpFileName(url: string, disposition: string | null): string {
  return namedBy(disposition) ?? lastPart(url) ?? "download";
}

function namedBy(disposition: string | null): string | undefined {
  if (disposition === null) return undefined;
  const match = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(disposition);
  const name = match?.[1]?.replace(/\\(.)/g, "$1") ?? match?.[2];
  return name === undefined ? undefined : oneComponent(name);
}

function lastPart(url: string): string | undefined {
  const path = new URL(url).pathname.replace(/\/+$/, "");
  try {
    return oneComponent(decodeURIComponent(path.slice(path.lastIndexOf("/") + 1)));
  } catch {
    // No percent-encoding of UTF-8: the name as it is written.
    return oneComponent(path.slice(path.lastIndexOf("/") + 1));
  }
}

function oneComponent(name: string): string | undefined {
  const last = name.slice(name.lastIndexOf("/") + 1);
  const bad = last === "" || last === "." || last === ".." || last.includes("\0") || last.length > 255;
  return bad ? undefined : last;
}
