/** What the X-Docker-Container-Path-Stat header says of a path in a container, before base64. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** With the bits of Go's os.FileMode. */
  readonly mode: number;
  /** RFC 3339 with nanoseconds. */
  readonly mtime: string;
  readonly linkTarget: string;
}
