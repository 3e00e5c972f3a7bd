import { constants } from "node:os";
import { invalid } from "./errors.ts";

const realTimeMin = 34;
const realTimeMax = 64;

/** "SIGTERM", "term", "15", "RTMIN+3" as a number; Docker's text otherwise. */
export function parseSignal(text: string): number {
  const fail = () => invalid(`invalid signal: ${text}`);
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    if (number > realTimeMax) throw invalid(`the linux daemon does not support signal ${number}`);
    if (number < 1) throw fail();
    return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime) {
    const base = realTime[1] === "MIN" ? realTimeMin : realTimeMax;
    const offset = Number(realTime[3] ?? "0") * (realTime[2] === "-" ? -1 : 1);
    const number = base + offset;
    if (number < realTimeMin || number > realTimeMax) throw fail();
    return number;
  }
  const number: number | undefined = Object.entries(constants.signals).find(
    ([key]) => key === `SIG${name}`,
  )?.[1];
  if (number === undefined) throw fail();
  return number;
}
