import { editDistance } from "../../lib/edit-distance.ts";

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
