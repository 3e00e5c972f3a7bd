import { TugError } from "../base/lib/errors.ts";
import type { Context } from "./context.ts";
import type { Flags, Values } from "./flags/flag.ts";

/** How many operands a command takes, with Docker's complaint when the count is wrong. */
export interface ArgRule {
  readonly min: number;
  readonly max: number;
}
export const noArgs: ArgRule = { min: 0, max: 0 };
export const exactly = (count: number): ArgRule => ({ min: count, max: count });
export const atLeast = (min: number): ArgRule => ({ min, max: Number.POSITIVE_INFINITY });
export const atMost = (max: number): ArgRule => ({ min: 0, max });
export const between = (min: number, max: number): ArgRule => ({ min, max });

/** One invocation, parsed. */
export interface Invocation<F extends Flags> {
  readonly values: Values<F>;
  readonly changed: ReadonlySet<string>;
  readonly args: readonly string[];
  /** As typed: "tug run" or "tug container run". */
  readonly name: string;
}

/** A command: flags and operands as data, and what to do. Its place and summary stand in commands/table.ts. */
export interface Command<F extends Flags = Flags> {
  /** What follows the command's name in its usage line; several lines where there are several forms. */
  readonly usage: string | readonly string[];
  /** Further text of the help page. */
  readonly description?: string;
  readonly args: ArgRule;
  readonly flags: F;
  /** False when operands end the flags (run, create, exec, top). */
  readonly interspersed?: boolean;
  run(context: Context, call: Invocation<F>): Promise<number>;
}

/** Checks a command's shape and keeps its flag types for `run`. */
export function defineCommand<F extends Flags>(command: Command<F>): Command<F> {
  return command;
}

/** An error of usage: printed without prefix, with its own exit code. */
export function exitError(message: string, exitCode: number, cause?: unknown): TugError {
  return new TugError("invalid-argument", message, { cause, detail: { exitCode } });
}

/** Docker's complaint about a wrong number of operands; undefined when it is right. */
export function countComplaint(name: string, rule: ArgRule, count: number): string | undefined {
  if (count >= rule.min && count <= rule.max) return undefined;
  const plural = (n: number) => (n === 1 ? "argument" : "arguments");
  if (rule.max === 0) return `'${name}' accepts no arguments`;
  if (rule.min === rule.max) return `'${name}' requires ${rule.min} ${plural(rule.min)}`;
  if (rule.max === Number.POSITIVE_INFINITY)
    return `'${name}' requires at least ${rule.min} ${plural(rule.min)}`;
  if (rule.min === 0) return `'${name}' requires at most ${rule.max} ${plural(rule.max)}`;
  return `'${name}' requires at least ${rule.min} and at most ${rule.max} ${plural(rule.max)}`;
}
