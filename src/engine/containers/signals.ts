import { parseSignal } from "../../base/lib/kill-signal.ts";

export { parseSignal };

export function checkSignal(text: string): void {
  parseSignal(text);
}

export const SIGKILL = 9;
export const SIGTERM = 15;
