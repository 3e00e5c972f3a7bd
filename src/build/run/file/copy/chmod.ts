import { invalid } from "../../../../base/lib/errors.ts";
import { S_IFDIR, S_IFMT } from "../../../../base/sys/at.ts";

/** Gives the permission bits (set-id and sticky included) that a node with this st_mode gets. */
export type ModeChange = (mode: number) => number;

const allBits = 0o7777;

/**
 * `--chmod`: octal digits stand for themselves, directories included; else a symbolic mode as chmod(1) has it, which applies to what
 * the node has (POSIX.1-2017, chmod, "EXTENDED DESCRIPTION", with no umask).
 */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text)) {
    const bits = Number.parseInt(text, 8);
    if (bits > allBits) throw badMode(text);
    return () => bits;
  }
  const clauses = text.split(",").map((clause) => parseClause(clause, text));
  return (mode) => clauses.reduce((bits, change) => change(bits | (mode & S_IFMT)) & allBits, mode & allBits);
}

function badMode(text: string): Error {
  return invalid(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`);
}

interface Step {
  readonly operator: string;
  readonly bits: (mode: number) => number;
}

function parseClause(clause: string, text: string): ModeChange {
  const match = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(clause);
  if (!match) throw badMode(text);
  const who = whoBits(match[1] ?? "");
  const steps: Step[] = [...(match[2] ?? "").matchAll(/([-+=])([ugo]|[rwxXst]*)/g)].map((step) => ({
    operator: step[1] ?? "",
    bits: permissionBits(step[2] ?? ""),
  }));
  return (mode) =>
    steps.reduce((now, { operator, bits }) => {
      const wanted = bits(now) & who;
      if (operator === "+") return now | wanted;
      if (operator === "-") return now & ~wanted;
      return (now & ~(who & clearedBits(now))) | wanted;
    }, mode);
}

/** "=" leaves a directory's set-id bits alone, as GNU chmod does. */
function clearedBits(mode: number): number {
  return (mode & S_IFMT) === S_IFDIR ? 0o1777 : allBits;
}

function whoBits(who: string): number {
  if (who === "" || who.includes("a")) return allBits;
  let bits = 0;
  if (who.includes("u")) bits |= 0o4700;
  if (who.includes("g")) bits |= 0o2070;
  if (who.includes("o")) bits |= 0o1007;
  return bits;
}

function permissionBits(letters: string): (mode: number) => number {
  if (letters === "u") return (mode) => spread((mode >> 6) & 7);
  if (letters === "g") return (mode) => spread((mode >> 3) & 7);
  if (letters === "o") return (mode) => spread(mode & 7);
  return (mode) => {
    let bits = 0;
    if (letters.includes("r")) bits |= 0o444;
    if (letters.includes("w")) bits |= 0o222;
    const runs = (mode & S_IFMT) === S_IFDIR || (mode & 0o111) !== 0;
    if (letters.includes("x") || (letters.includes("X") && runs)) bits |= 0o111;
    if (letters.includes("s")) bits |= 0o6000;
    if (letters.includes("t")) bits |= 0o1000;
    return bits;
  };
}

function spread(three: number): number {
  return three * 0o111;
}
