import { readFileSync } from "node:fs";

/** Nanoseconds all CPUs of the host spent, and how many there are: /proc/stat's first line, in USER_HZ ticks (proc(5)). */
export function hostCpu(text: string = readFileSync("/proc/stat", "utf8")): {
  readonly total: number;
  readonly online: number;
} {
  const [first = "", ...rest] = text.split("\n");
  // user nice system idle iowait irq softirq steal; guest time is part of user time already.
  const ticks = first.trim().split(/\s+/).slice(1, 9).map(Number);
  const online = rest.filter((line) => /^cpu\d+ /.test(line)).length;
  return { total: ticks.reduce((sum, tick) => sum + tick, 0) * 10_000_000, online: Math.max(1, online) };
}
