import { invalid } from "./errors.ts";

const goBooleans: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  TRUE: true,
  true: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  FALSE: false,
  false: false,
  False: false,
};

/** Go's strconv.ParseBool. */
export function parseBoolean(text: string): boolean {
  const value = goBooleans[text];
  if (value === undefined)
    throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  return value;
}
