import { invalid } from "../../lib/errors.ts";

/**
 * `#`, `##`, `%`, `%%`, `/` and `//` of parameter expansion, with `*` and `?` as patterns (POSIX shell, 2.13.1, without brackets). Nothing
 * backtracks: between stars a pattern is found where it stands first, or last.
 */

/** A character, or undefined for `?`. */
type Piece = readonly (string | undefined)[];

/** Without the shortest (`greedy`: longest) beginning that matches. */
export function trimPrefix(value: string, pattern: string, greedy: boolean): string {
  const chars = bounded(value, pattern);
  const end = matchAt(chars, 0, compile(pattern), greedy);
  return end === undefined ? value : chars.slice(end).join("");
}

/** Without the shortest (`greedy`: longest) end that matches. */
export function trimSuffix(value: string, pattern: string, greedy: boolean): string {
  const chars = bounded(value, pattern).reverse();
  const pieces = compile(pattern)
    .map((piece) => piece.toReversed())
    .reverse();
  const end = matchAt(chars, 0, pieces, greedy);
  return end === undefined ? value : chars.slice(end).reverse().join("");
}

/** The first match, the longest one there, or all of them replaced. */
export function replacePattern(
  value: string,
  pattern: string,
  replacement: string,
  all: boolean,
  limit: number,
): string {
  const chars = bounded(value, pattern);
  const pieces = compile(pattern);
  const [first = []] = pieces;
  const out: string[] = [];
  let size = 0;
  let from = 0;
  let afterMatch = -1;
  while (from <= chars.length) {
    const start = find(chars, from, first);
    const end = start === undefined ? undefined : matchAt(chars, start, pieces, true);
    if (start === undefined || end === undefined) break;
    out.push(...slice(chars, from, start));
    // As Go's ReplaceAll: an empty match right behind a match is none.
    if (end > start || start !== afterMatch) {
      out.push(replacement);
      size += replacement.length;
      if (size > limit) throw invalid(`more than ${limit} characters`);
    }
    afterMatch = end;
    from = end;
    if (!all) break;
    if (end === start) out.push(chars[from++] ?? "");
  }
  out.push(...slice(chars, from, chars.length));
  return out.join("");
}

/** Spreading hundreds of thousands of arguments would overflow the stack. */
function slice(chars: readonly string[], from: number, to: number): readonly string[] {
  return from < to ? [chars.slice(from, to).join("")] : [];
}

/** Pieces between stars: "a*b" is ["a"] and ["b"]. */
function compile(pattern: string): readonly Piece[] {
  const pieces: (string | undefined)[][] = [[]];
  const chars = Array.from(pattern);
  for (let i = 0; i < chars.length; i++) {
    let char = chars[i];
    if (char === "*") {
      pieces.push([]);
      continue;
    }
    if (char === "\\") {
      char = chars[++i];
      // "}" and "/" are escaped only for the substitution's own sake.
      if (char === undefined || !"}/*?\\".includes(char)) throw invalid(`invalid escape '\\${char ?? ""}'`);
      pieces.at(-1)?.push(char);
      continue;
    }
    pieces.at(-1)?.push(char === "?" ? undefined : char);
  }
  return pieces;
}

function fits(chars: readonly string[], at: number, piece: Piece): boolean {
  if (at + piece.length > chars.length) return false;
  return piece.every((char, i) => char === undefined || char === chars[at + i]);
}

function find(chars: readonly string[], from: number, piece: Piece): number | undefined {
  for (let at = from; at + piece.length <= chars.length; at++) if (fits(chars, at, piece)) return at;
  return undefined;
}

function findLast(chars: readonly string[], from: number, piece: Piece): number | undefined {
  for (let at = chars.length - piece.length; at >= from; at--) if (fits(chars, at, piece)) return at;
  return undefined;
}

/** Where a match that begins at `from` ends. */
function matchAt(
  chars: readonly string[],
  from: number,
  pieces: readonly Piece[],
  greedy: boolean,
): number | undefined {
  const [first = [], ...others] = pieces;
  if (!fits(chars, from, first)) return undefined;
  let at = from + first.length;
  for (const [i, piece] of others.entries()) {
    const last = greedy && i === others.length - 1;
    const found = last ? findLast(chars, at, piece) : find(chars, at, piece);
    if (found === undefined) return undefined;
    at = found + piece.length;
  }
  return at;
}

/** The value's characters; a product of lengths that would take minutes is refused. */
function bounded(value: string, pattern: string): string[] {
  if (value.length * pattern.length > 1e9)
    throw invalid("the pattern is too long for a value of that length");
  return Array.from(value);
}
