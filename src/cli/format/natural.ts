/**
 * Orders names as people read them: runs of digits compare as numbers, so "net2" comes before "net10". Equal numbers with
 * different leading zeros fall back to their length.
 */
export function naturalCompare(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const x = left[at] ?? "";
    const y = right[at] ?? "";
    if (x === y) continue;
    const difference = isDigits(x) && isDigits(y) ? compareNumbers(x, y) : compareText(x, y);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

const isDigits = (text: string) => /^\d/.test(text);

function compareNumbers(x: string, y: string): number {
  const [m, n] = [x.replace(/^0+/, ""), y.replace(/^0+/, "")];
  return m.length - n.length || compareText(m, n) || x.length - y.length;
}

function compareText(x: string, y: string): number {
  return x < y ? -1 : x > y ? 1 : 0;
}
