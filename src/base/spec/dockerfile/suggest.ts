/** The option that a typing error away from `text` lies, at most two changes; undefined when none does or it is one of them. */
export function closest(text: string, options: Iterable<string>, caseSensitive: boolean): string | undefined {
  const wanted = caseSensitive ? text : text.toLowerCase();
  let best: { readonly option: string; readonly distance: number } | undefined;
  for (const raw of options) {
    const option = caseSensitive ? raw : raw.toLowerCase();
    if (option === wanted) return undefined;
    if (Math.abs(option.length - wanted.length) > 2) continue;
    const distance = editDistance(wanted, option);
    if (distance < (best?.distance ?? 3)) best = { option, distance };
  }
  if (!best) return undefined;
  return !caseSensitive && text === text.toUpperCase() ? best.option.toUpperCase() : best.option;
}

/** `message` with " (did you mean X?)" behind it where something is close. */
export function withHint(
  message: string,
  text: string,
  options: Iterable<string>,
  caseSensitive: boolean,
): string {
  const hint = closest(text, options, caseSensitive);
  return hint === undefined ? message : `${message} (did you mean ${hint}?)`;
}

/** Insertions, deletions, replacements and swapped neighbours (optimal string alignment): what fingers do. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (before[j - 2] ?? 0) + 1 : replace;
      next.push(Math.min(replace, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
