/**
 * A spool line, as conmon writes it (CRI's log format): "<RFC3339Nano> <stdout|stderr> <F|P> <text>\n". F ends a line of the container's
 * output, P leaves it open; the text never holds a newline.
 */

/** Shortest and longest prefix before the text: "…123456789Z stdout F " and "…123456789+00:00 stdout F ". */
const short = 40;
const long = 45;

/** Length of the prefix of the line at `at` (its newline at `end`), or 0 when that is no spool line. */
export function findHeader(input: Buffer, at: number, end: number): number {
  if (end - at >= long && input[at + 35] === 32 && isTail(input, at + 36)) return long;
  if (end - at >= short && input[at + 30] === 32 && isTail(input, at + 31)) return short;
  return 0;
}

/** "stdout F " or "stderr P ": the bytes that tell them apart, and the blanks around. */
function isTail(input: Buffer, at: number): boolean {
  const tag = input[at + 7];
  return (
    input[at] === 115 &&
    input[at + 2] === 100 &&
    input[at + 6] === 32 &&
    (tag === 70 || tag === 80) &&
    input[at + 8] === 32
  );
}
