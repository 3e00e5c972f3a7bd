import type { TestDaemon } from "./daemon.ts";

/** Starts a container whose web server answers "from <name>" on port 80. */
export function startWeb(daemon: TestDaemon, name: string, ...flags: string[]): Promise<string> {
  const script = `mkdir /www; echo from ${name} >/www/index.html; exec httpd -f -h /www -p 80`;
  return daemon.ok(["run", "-d", "--name", name, ...flags, "busybox", "sh", "-c", script]);
}

/** What a web server says, on a connection of its own; "" while none answers. */
export async function tryFetch(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000), keepalive: false });
    return await answer.text();
  } catch {
    return ""; // not up yet, or not there
  }
}
