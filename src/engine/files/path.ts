import { posix } from "node:path";

/**
 * A path of the container as `cp` names it: absolute, cleaned as text, with the trailing "/" or "/." kept, because it asks
 * for the directory behind a link rather than for the link.
 */
export interface ContainerPath {
  /** What to open. */
  readonly path: string;
  /** A last symbolic link is followed. */
  readonly follow: boolean;
  /** Last component as Go's filepath.Base gives it: the name in PathStat and at the top of the archive. */
  readonly base: string;
}

export function parseContainerPath(text: string): ContainerPath {
  const dot = text.endsWith("/.") || text === ".";
  const slash = text.endsWith("/") && text !== "/";
  const clean = posix.normalize(`/${text}`).replace(/(.)\/$/, "$1");
  const base = clean === "/" ? "/" : dot ? "." : (clean.split("/").at(-1) ?? "/");
  return { path: clean, follow: dot || slash, base };
}
