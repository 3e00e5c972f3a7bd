import { writeSync } from "node:fs";
import { codeOf, messageOf, TugError } from "../base/lib/errors.ts";
import { confineWritesTo } from "../base/sys/process/landlock.ts";
import { dieWithParent } from "../base/sys/process/parent-death.ts";
import type { UnpackNews, UnpackReport, UnpackRequest } from "../core/image/unpack/protocol.ts";
import { unpackArriving, unpackLayer } from "../core/image/unpack/unpack-layer.ts";
import { inputLines } from "./input-lines.ts";

/** At most this often a line of progress is written. */
const progressInterval = 100;

const SIGKILL = 9;
const stdout = 1;

/**
 * Unpacks the layer that standard input describes; reports on standard output. Exit code 0 when it is whole and right.
 * `args`: the pid of the daemon, after whose death nobody wants the layer and its directory may go at any moment.
 */
export async function unpack(args: readonly string[]): Promise<number> {
  dieWithParent(SIGKILL, Number(args[0]));
  process.umask(0);
  const lines = inputLines();
  // Not by `process.stdout`, which writes when the event loop turns: this thread waits for input and never turns it.
  const report = (line: UnpackReport) => {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    for (let at = 0; at < bytes.length; ) at += writeSync(stdout, bytes, at);
  };
  let last = Number.NEGATIVE_INFINITY;
  const onProgress = (bytes: number) => {
    const now = performance.now();
    if (now - last < progressInterval) return;
    last = now;
    report({ kind: "progress", bytes });
  };
  try {
    const request = JSON.parse(next(lines)) as UnpackRequest;
    if ("upper" in request) {
      confineWritesTo(request.upper);
      report({ kind: "done", ...(await unpackArriving(request, newsFrom(lines), onProgress)) });
      return 0;
    }
    confineWritesTo(request.target.kind === "overlay" ? request.target.upper : request.target.tree);
    report({ kind: "done", ...(await unpackLayer(request, onProgress)) });
    return 0;
  } catch (error) {
    report({ kind: "failed", code: codeOf(error), message: messageOf(error) });
    return 1;
  }
}

/** What the daemon tells of an arriving layer, waited for in this thread: there is nothing else to do. */
function newsFrom(lines: Iterator<string, void>) {
  let size = 0;
  let lowers: readonly string[] | undefined;
  const hear = () => {
    const news = JSON.parse(next(lines)) as UnpackNews;
    if (news.kind === "written") size = Math.max(size, news.size);
    else lowers = news.lowers;
  };
  return {
    written: (beyond: number) => {
      while (size <= beyond) hear();
      return size;
    },
    lowers: () => {
      for (;;) {
        if (lowers) return lowers;
        hear();
      }
    },
  };
}

function next(lines: Iterator<string, void>): string {
  const line = lines.next();
  if (line.done) throw new TugError("cancelled", "the daemon does not want the layer any more");
  return line.value;
}
