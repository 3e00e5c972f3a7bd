import { writeSync } from "node:fs";
import { codeOf, messageOf } from "../base/lib/errors.ts";
import { confineWritesTo } from "../base/sys/process/landlock.ts";
import { dieWithParent } from "../base/sys/process/parent-death.ts";
import type { LayerReadReply } from "../build/export/layer-readers.ts";
import { digestLayer } from "../core/snapshot/diff.ts";
import type { SnapshotLayout } from "../core/snapshot/snapshotter.ts";
import { inputLines } from "./input-lines.ts";

const SIGKILL = 9;
const stdout = 1;

/**
 * Reads committed snapshots as layers, one after the other: a line with the layout on standard input, a line with the reply on standard
 * output, until the input ends. `args`: the pid of the daemon, without which nobody reads the answers.
 */
export function readLayers(args: readonly string[]): number {
  dieWithParent(SIGKILL, Number(args[0]));
  // It reads and writes nothing.
  confineWritesTo();
  for (const line of inputLines()) {
    const bytes = Buffer.from(`${JSON.stringify(answer(line))}\n`);
    for (let at = 0; at < bytes.length; ) at += writeSync(stdout, bytes, at);
  }
  return 0;
}

function answer(line: string): LayerReadReply {
  try {
    // Only the daemon writes here.
    return { kind: "read", ...digestLayer(JSON.parse(line) as SnapshotLayout) };
  } catch (error) {
    return { kind: "failed", code: codeOf(error), message: messageOf(error) };
  }
}
