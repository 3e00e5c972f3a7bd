import { readSync } from "node:fs";
import { TugError } from "../../../base/lib/errors.ts";
import { closeFd, O, openat2, RESOLVE, readlinkat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { getXattr, listXattrs } from "../../../base/sys/xattr.ts";
import { snapshotChanges } from "../../../core/snapshot/changes.ts";
import type { SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";

/** Shorter values are found everywhere by chance. */
const SHORTEST = 8;
const CHUNK = 1 << 20;
const SLICE_MS = 5;

export interface SecretValue {
  readonly id: string;
  readonly value: Uint8Array;
}

interface Pattern {
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Fails when a secret's value lies in what a step wrote: names, contents, links and attributes, plain or as base64. Whoever gets the
 * image would have it. Reads each changed file once, in pieces; gives way to the event loop.
 */
export async function refuseLeakedSecrets(
  layout: SnapshotLayout,
  secrets: readonly SecretValue[],
  signal: AbortSignal,
): Promise<void> {
  const patterns = secrets.flatMap(patternsOf);
  if (patterns.length === 0) return;
  let sliceEnd = performance.now() + SLICE_MS;
  for (const change of snapshotChanges(layout)) {
    if (change.kind === "deleted") continue;
    const { path, node } = change;
    const refuse = (found: Pattern | undefined, what: string) => {
      if (found) throw leaked(found.id, `/${path}`, what);
    };
    refuse(search(Buffer.from(path), patterns), "the name of");
    if (node.stat.kind === "symlink") refuse(search(readlinkat(node.dir, node.name), patterns), "the link");
    for (const key of node.stat.kind === "symlink" ? [] : listXattrs(node.dir, node.name)) {
      const value = getXattr(node.dir, node.name, key);
      if (value) refuse(search(value, patterns), `the attribute ${key} of`);
    }
    if (node.stat.kind === "file")
      for (const found of searchFile(node.dir, node.name, patterns)) {
        refuse(found, "");
        if (performance.now() < sliceEnd) continue;
        await new Promise<void>((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
        sliceEnd = performance.now() + SLICE_MS;
      }
  }
}

/** The secret whose value, plain or as base64, is in the bytes. */
export function secretIn(bytes: Buffer, secrets: readonly SecretValue[]): string | undefined {
  return search(bytes, secrets.flatMap(patternsOf))?.id;
}

function leaked(id: string, path: string, what: string): TugError {
  const where = what === "" ? path : `${what} ${path}`;
  return new TugError(
    "conflict",
    `secret ${id}: its value is in ${where} after the step and would be in the image for everybody who has it. ` +
      "Remove it in the same RUN, or write it below a --mount=type=tmpfs",
  );
}

/** The value, without the newline that editors put at the end, and its base64 whatever stands before it. */
function patternsOf({ id, value }: SecretValue): readonly Pattern[] {
  const bytes = Buffer.from(Buffer.from(value).toString("latin1").trimEnd(), "latin1");
  if (bytes.length < SHORTEST) return [];
  const encoded = [0, 1, 2].flatMap((before) => base64Within(bytes, before));
  return [bytes, ...encoded].map((pattern) => ({ id, bytes: pattern }));
}

/** The characters of base64 that the value alone decides when so many bytes stand before it; others may follow. */
function base64Within(bytes: Buffer, before: number): Buffer[] {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
  const from = before === 0 ? 0 : before + 1;
  const to = Math.floor(((before + bytes.length) * 8) / 6);
  return to - from < SHORTEST ? [] : [Buffer.from(text.slice(from, to), "latin1")];
}

function search(bytes: Buffer, patterns: readonly Pattern[]): Pattern | undefined {
  return patterns.find((pattern) => bytes.includes(pattern.bytes));
}

/** Yields after each piece; a value that lies across two is found by keeping the end of the one before. */
function* searchFile(
  dir: number,
  name: string,
  patterns: readonly Pattern[],
): Generator<Pattern | undefined, void, undefined> {
  const overlap = Math.max(...patterns.map(({ bytes }) => bytes.length)) - 1;
  let fd: number;
  try {
    fd = openat2(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return;
    throw error;
  }
  try {
    const buffer = Buffer.allocUnsafe(overlap + CHUNK);
    let held = 0;
    for (;;) {
      const length = readSync(fd, buffer, held, CHUNK, null);
      if (length === 0) return;
      yield search(buffer.subarray(0, held + length), patterns);
      const keep = Math.min(overlap, held + length);
      buffer.copy(buffer, 0, held + length - keep, held + length);
      held = keep;
    }
  } finally {
    closeFd(fd);
  }
}
