/** The syntax tree of a Go text/template. `at` is the source text of a node, for error messages. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe; readonly line: number; readonly column: number }
  | {
      readonly kind: "if" | "with";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
      readonly line: number;
      readonly column: number;
    }
  | {
      readonly kind: "range";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
      readonly line: number;
      readonly column: number;
    }
  | { readonly kind: "break" | "continue" }
  | {
      readonly kind: "template";
      readonly name: string;
      readonly pipe: Pipe | undefined;
      readonly line: number;
      readonly column: number;
    };

/** `$a, $b := command | command`. */
export interface Pipe {
  readonly variables: readonly string[];
  readonly assign: boolean;
  readonly commands: readonly Command[];
}

/** An operand and its arguments. */
export interface Command {
  readonly operands: readonly Operand[];
}

export type Operand =
  | { readonly kind: "dot" }
  | { readonly kind: "nil" }
  | { readonly kind: "literal"; readonly value: string | number | boolean; readonly source: string }
  | { readonly kind: "field"; readonly path: readonly string[]; readonly column: number }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly path: readonly string[];
      readonly column: number;
    }
  | { readonly kind: "call"; readonly name: string; readonly column: number }
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly path: readonly string[]; readonly column: number };

export interface Template {
  readonly root: readonly Node[];
  readonly named: ReadonlyMap<string, readonly Node[]>;
}
