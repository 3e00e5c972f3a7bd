/** Positions in a Dockerfile: lines from 1, characters from 0, ends included, as BuildKit's ops.proto has them. */
export interface SourceRange {
  readonly start: Position;
  readonly end: Position;
}

export interface Position {
  readonly line: number;
  readonly character: number;
}
