import { invalid, messageOf } from "../../../base/lib/errors.ts";
import type { Command, Node, Operand, Pipe, Template } from "./ast.ts";
import { isTrue, lazyFunctions, type TemplateFunction, templateFunctions } from "./functions.ts";
import { parseTemplate } from "./parse.ts";
import { goString, goType, type ShapeOf } from "./print.ts";

export interface ExecuteOptions {
  readonly functions?: ReadonlyMap<string, TemplateFunction>;
  /** What a missing field is: an error naming `typeName` (a Go struct), an error of a map, or "<no value>". */
  readonly missing?: "struct" | "map-error" | "no-value";
  readonly typeName?: string;
  readonly shapeOf?: ShapeOf;
}

/** A parsed format, ready to run on many values. */
export function compileTemplate(source: string, options: ExecuteOptions = {}): (data: unknown) => string {
  const functions = options.functions ?? templateFunctions(options.shapeOf);
  const template = parseTemplate(source, new Set([...functions.keys(), ...lazyFunctions]));
  return (data) => new Execution(template, functions, options).run(data);
}

type Scope = Map<string, unknown>;
class LoopControl {
  readonly kind: "break" | "continue";
  constructor(kind: "break" | "continue") {
    this.kind = kind;
  }
}
/** A command without a value so far, for the first stage of a pipeline. */
const nothing = Symbol("nothing");

class Execution {
  readonly #template: Template;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  readonly #options: ExecuteOptions;
  #out = "";
  #line = 1;
  #column = 0;
  #depth = 0;

  constructor(template: Template, functions: ReadonlyMap<string, TemplateFunction>, options: ExecuteOptions) {
    this.#template = template;
    this.#functions = functions;
    this.#options = options;
  }

  run(data: unknown): string {
    this.#nodes(this.#template.root, data, [new Map([["$", data]])]);
    return this.#out;
  }

  #nodes(nodes: readonly Node[], dot: unknown, scopes: Scope[]): void {
    for (const node of nodes) this.#node(node, dot, scopes);
  }

  #node(node: Node, dot: unknown, scopes: Scope[]): void {
    if (node.kind === "text") {
      this.#out += node.text;
      return;
    }
    if (!("line" in node)) throw new LoopControl(node.kind);
    this.#line = node.line;
    this.#column = node.column;
    switch (node.kind) {
      case "action": {
        const value = this.#pipe(node.pipe, dot, scopes);
        if (node.pipe.variables.length === 0)
          this.#out +=
            value === undefined || (value === null && !this.#options.shapeOf)
              ? "<no value>"
              : goString(value, this.#options.shapeOf);
        return;
      }
      case "if":
      case "with": {
        const inner = [...scopes, new Map<string, unknown>()];
        const value = this.#pipe(node.pipe, dot, inner);
        const body = isTrue(value) ? node.body : node.otherwise;
        this.#nodes(body, node.kind === "with" && isTrue(value) ? value : dot, [...inner, new Map()]);
        return;
      }
      case "range":
        this.#range(node, dot, scopes);
        return;
      case "template": {
        const named = this.#template.named.get(node.name);
        if (!named)
          throw this.#fail(
            `template ${JSON.stringify(node.name)}`,
            `template ${JSON.stringify(node.name)} not defined`,
          );
        if (++this.#depth > 1000)
          throw this.#fail(`template ${JSON.stringify(node.name)}`, "exceeded maximum template depth (1000)");
        const data = node.pipe ? this.#pipe(node.pipe, dot, scopes) : undefined;
        this.#nodes(named, data, [new Map([["$", data]])]);
        this.#depth--;
        return;
      }
    }
  }

  #range(node: Extract<Node, { kind: "range" }>, dot: unknown, scopes: Scope[]): void {
    const outer = [...scopes, new Map<string, unknown>()];
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot, outer);
    const pairs = this.#pairs(value);
    if (pairs.length === 0) this.#nodes(node.otherwise, dot, outer);
    for (const [key, item] of pairs) {
      const scope: Scope = new Map();
      const [first, second] = node.pipe.variables;
      if (second !== undefined && first !== undefined) scope.set(first, key).set(second, item);
      else if (first !== undefined) scope.set(first, item);
      try {
        this.#nodes(node.body, item, [...outer, scope]);
      } catch (control) {
        if (!(control instanceof LoopControl)) throw control;
        if (control.kind === "break") return;
      }
    }
  }

  #pairs(value: unknown): [unknown, unknown][] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.map((item, at) => [at, item]);
    if (typeof value === "number") return Array.from({ length: Math.max(0, value) }, (_, at) => [at, at]);
    if (typeof value === "object") {
      const record = value as Readonly<Record<string, unknown>>;
      return Object.keys(record)
        .sort()
        .map((key) => [key, record[key]]);
    }
    throw this.#fail("range", `range can't iterate over ${goString(value)}`);
  }

  #pipe(pipe: Pipe, dot: unknown, scopes: Scope[]): unknown {
    let value: unknown = nothing;
    for (const command of pipe.commands) value = this.#command(command, dot, scopes, value);
    for (const name of pipe.variables) {
      if (pipe.assign) scopes.findLast((scope) => scope.has(name))?.set(name, value);
      else scopes.at(-1)?.set(name, value);
    }
    return value;
  }

  #command(command: Command, dot: unknown, scopes: Scope[], piped: unknown): unknown {
    const [head, ...rest] = command.operands;
    if (!head) throw this.#fail("", "missing value for command");
    const args = () => [
      ...rest.map((operand) => this.#value(operand, dot, scopes, [])),
      ...(piped === nothing ? [] : [piped]),
    ];
    if (head.kind === "call") {
      this.#column = head.column;
      if (head.name === "and" || head.name === "or")
        return this.#shortCircuit(head.name, rest, dot, scopes, piped);
      return this.#call(head.name, args(), command.operands.map(sourceOf).join(" "), head.column);
    }
    const takesArgs = rest.length > 0 || piped !== nothing;
    if (takesArgs && head.kind !== "field" && head.kind !== "variable" && head.kind !== "pipe") {
      throw this.#fail(sourceOf(head), `can't give argument to non-function ${sourceOf(head)}`);
    }
    return this.#value(head, dot, scopes, takesArgs ? args() : []);
  }

  #shortCircuit(
    name: "and" | "or",
    rest: readonly Operand[],
    dot: unknown,
    scopes: Scope[],
    piped: unknown,
  ): unknown {
    let value: unknown;
    for (const operand of rest) {
      value = this.#value(operand, dot, scopes, []);
      if (isTrue(value) === (name === "or")) return value;
    }
    return piped === nothing ? value : piped;
  }

  #call(name: string, args: unknown[], source = name, column = this.#column): unknown {
    const found = this.#functions.get(name);
    if (!found) throw this.#fail(source, `function ${JSON.stringify(name)} not defined`);
    try {
      return found(...args);
    } catch (error) {
      this.#column = column;
      throw this.#fail(source, `error calling ${name}: ${messageOf(error)}`, error);
    }
  }

  #value(operand: Operand, dot: unknown, scopes: Scope[], args: readonly unknown[]): unknown {
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "literal":
        return operand.value;
      case "call":
        this.#column = operand.column;
        return operand.name === "and" || operand.name === "or" ? undefined : this.#call(operand.name, []);
      case "field":
        this.#column = operand.column;
        return this.#fields(dot, operand.path, args, sourceOf(operand));
      case "variable":
        this.#column = operand.column;
        return this.#fields(
          scopes.findLast((scope) => scope.has(operand.name))?.get(operand.name),
          operand.path,
          args,
          sourceOf(operand),
        );
      case "pipe":
        return this.#fields(this.#pipe(operand.pipe, dot, scopes), operand.path, args, sourceOf(operand));
    }
  }

  #fields(start: unknown, path: readonly string[], args: readonly unknown[], source: string): unknown {
    let value = start;
    const column = this.#column;
    let passed = source.startsWith("$") ? source.indexOf(".") : 0;
    path.forEach((name, at) => {
      this.#column = column + passed; // Go names the place of the field, not of the chain
      passed += name.length + 1;
      value = this.#field(value, name, at === path.length - 1 ? args : [], source);
    });
    if (path.length === 0 && args.length > 0)
      throw this.#fail(source, `can't give argument to non-function ${source}`);
    return value;
  }

  #field(value: unknown, name: string, args: readonly unknown[], source: string): unknown {
    const mode = this.#options.missing ?? "no-value";
    if (value === null || value === undefined) {
      if (mode === "no-value") return undefined;
      throw this.#fail(source, `nil data; no entry for key ${JSON.stringify(name)}`);
    }
    if (typeof value !== "object")
      throw this.#fail(source, `can't evaluate field ${name} in type ${goType(value)}`);
    const record = value as Readonly<Record<string, unknown>>;
    if (!Array.isArray(value) && name in record) {
      const found = record[name];
      if (typeof found !== "function") {
        if (args.length > 0)
          throw this.#fail(source, `${name} has arguments but cannot be invoked as function`);
        return found;
      }
      if (found.length !== args.length) {
        throw this.#fail(source, `wrong number of args for ${name}: want ${found.length} got ${args.length}`);
      }
      return (found as TemplateFunction).apply(value, [...args]);
    }
    // An object without a prototype is a Go map, whatever it lies in.
    if ((mode === "no-value" && !Array.isArray(value)) || Object.getPrototypeOf(value) === null)
      return undefined;
    if (mode === "map-error" && !Array.isArray(value))
      throw this.#fail(source, `map has no entry for key ${JSON.stringify(name)}`);
    throw this.#fail(
      source,
      `can't evaluate field ${name} in type ${Array.isArray(value) ? goType(value) : (this.#options.typeName ?? "interface {}")}`,
    );
  }

  #fail(source: string, why: string, cause?: unknown) {
    return invalid(`template: :${this.#line}:${this.#column}: executing "" at <${source}>: ${why}`, cause);
  }
}

function sourceOf(operand: Operand): string {
  switch (operand.kind) {
    case "field":
      return operand.path.map((name) => `.${name}`).join("");
    case "variable":
      return operand.name + operand.path.map((name) => `.${name}`).join("");
    case "literal":
      return operand.source;
    case "call":
      return operand.name;
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "pipe": {
      const commands = operand.pipe.commands.map(({ operands }) => operands.map(sourceOf).join(" "));
      return `(${commands.join(" | ")})${operand.path.map((name) => `.${name}`).join("")}`;
    }
  }
}
