import { invalid } from "../../../base/lib/errors.ts";
import type { Command, Node, Operand, Pipe, Template } from "./ast.ts";
import { lex, type Piece, type Token } from "./lex.ts";

type Action = Extract<Piece, { kind: "action" }>;

/** Parses a template; `functions` are the names it may call. Errors read as Go's. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): Template {
  return new Parser(lex(source), functions).template();
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  readonly #named = new Map<string, readonly Node[]>();
  readonly #scopes: Set<string>[] = [new Set(["$"])];
  #at = 0;
  #loops = 0;
  // The tokens of the action being read.
  #tokens: readonly Token[] = [];
  #next = 0;
  #line = 1;

  constructor(pieces: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = pieces;
    this.#functions = functions;
  }

  template(): Template {
    const { nodes, end } = this.#list();
    if (end !== undefined) throw this.#fail(`unexpected {{${end}}}`);
    return { root: nodes, named: this.#named };
  }

  /** Nodes up to `end` or `else`, whichever word stopped it; undefined at the end of the source. */
  #list(): { nodes: Node[]; end: "end" | "else" | undefined } {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#at]; piece; piece = this.#pieces[this.#at]) {
      this.#at++;
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      this.#open(piece);
      const word = piece.tokens[0]?.kind === "word" ? piece.tokens[0].text : "";
      if (word === "end" || word === "else") {
        this.#next++;
        return { nodes, end: word };
      }
      const node = this.#action(piece, word);
      if (node) nodes.push(node);
    }
    return { nodes, end: undefined };
  }

  #open(piece: Action): void {
    this.#tokens = piece.tokens;
    this.#next = 0;
    this.#line = piece.line;
  }

  #action(piece: Action, word: string): Node | undefined {
    const place = { line: piece.line, column: piece.column + 2 };
    switch (word) {
      case "if":
      case "with":
      case "range":
        this.#next++;
        return this.#control(word, place);
      case "break":
      case "continue":
        this.#next++;
        if (this.#loops === 0) throw this.#fail(`{{${word}}} outside {{range}}`);
        this.#finish();
        return { kind: word };
      case "define":
      case "block": {
        this.#next++;
        const name = this.#name(word);
        const pipe = word === "block" ? this.#pipe() : undefined;
        this.#finish();
        const { nodes, end } = this.#list();
        if (end !== "end") throw this.#fail("unexpected EOF");
        this.#named.set(name, nodes);
        return word === "block" ? { kind: "template", name, pipe, ...place } : undefined;
      }
      case "template": {
        this.#next++;
        const name = this.#name(word);
        const pipe = this.#peek() ? this.#pipe() : undefined;
        this.#finish();
        return { kind: "template", name, pipe, ...place };
      }
      default: {
        if (piece.tokens.length === 0) throw this.#fail("missing value for command");
        const pipe = this.#pipe();
        this.#finish();
        return { kind: "action", pipe, ...place };
      }
    }
  }

  #control(kind: "if" | "with" | "range", place: { line: number; column: number }): Node {
    this.#scopes.push(new Set());
    const pipe = this.#pipe(kind === "range", kind);
    this.#finish();
    if (kind === "range") this.#loops++;
    const { nodes: body, end } = this.#list();
    if (kind === "range") this.#loops--;
    let otherwise: Node[] = [];
    if (end === "else") {
      const again = this.#peek();
      if (again?.kind === "word" && (again.text === "if" || again.text === "with") && again.text === kind) {
        this.#next++;
        otherwise = [this.#control(again.text, place)]; // its {{end}} closes both
      } else {
        this.#finish();
        const rest = this.#list();
        if (rest.end === "else") throw this.#fail("expected end; found {{else}}");
        if (rest.end === undefined) throw this.#fail("unexpected EOF");
        otherwise = rest.nodes;
      }
    } else if (end === undefined) throw this.#fail("unexpected EOF");
    this.#scopes.pop();
    return { kind, pipe, body, otherwise, ...place };
  }

  /** `of`: what has it, for the complaint when there is none. */
  #pipe(range = false, of?: string): Pipe {
    const { variables, assign } = this.#declarations(range);
    const commands: Command[] = [];
    do commands.push(this.#command(commands.length === 0 ? of : undefined));
    while (this.#accept("|"));
    for (const name of assign ? [] : variables) this.#scopes.at(-1)?.add(name);
    return { variables, assign, commands };
  }

  #declarations(range: boolean): { variables: string[]; assign: boolean } {
    const start = this.#next;
    const variables: string[] = [];
    for (let token = this.#peek(); token?.kind === "variable"; token = this.#peek()) {
      variables.push(token.text);
      this.#next++;
      if (this.#accept(":=")) return { variables, assign: false };
      if (this.#accept("=")) {
        for (const name of variables) this.#known(name);
        return { variables, assign: true };
      }
      if (!(range && variables.length === 1 && this.#accept(","))) break;
    }
    this.#next = start;
    return { variables: [], assign: false };
  }

  #command(of?: string): Command {
    const operands: Operand[] = [];
    for (
      let token = this.#peek();
      token && !(token.kind === "symbol" && /^[|)]$/.test(token.text));
      token = this.#peek()
    ) {
      operands.push(this.#operand(token));
    }
    if (operands.length === 0)
      throw this.#fail(`missing value for ${of ?? (this.#next > 0 ? "command" : "pipeline")}`);
    return { operands };
  }

  #operand(token: Token): Operand {
    this.#next++;
    const { column } = token;
    switch (token.kind) {
      case "dot":
        return { kind: "dot" };
      case "string":
      case "char":
      case "number":
        return { kind: "literal", value: token.value ?? "", source: token.text };
      case "field":
        return { kind: "field", path: [token.text.slice(1), ...this.#chain()], column };
      case "variable":
        this.#known(token.text);
        return { kind: "variable", name: token.text, path: this.#chain(), column };
      case "word":
        if (token.text === "true" || token.text === "false") {
          return { kind: "literal", value: token.text === "true", source: token.text };
        }
        if (token.text === "nil") return { kind: "nil" };
        if (!this.#functions.has(token.text))
          throw this.#fail(`function ${JSON.stringify(token.text)} not defined`);
        return { kind: "call", name: token.text, column };
      case "symbol": {
        if (token.text !== "(") throw this.#fail(`unexpected ${JSON.stringify(token.text)} in operand`);
        const pipe = this.#pipe();
        if (!this.#accept(")")) throw this.#fail("unclosed left paren");
        return { kind: "pipe", pipe, path: this.#chain(), column };
      }
    }
  }

  #chain(): string[] {
    const path: string[] = [];
    for (let token = this.#peek(); token?.kind === "field" && token.glued; token = this.#peek()) {
      path.push(token.text.slice(1));
      this.#next++;
    }
    return path;
  }

  #name(word: string): string {
    const token = this.#peek();
    if (token?.kind !== "string")
      throw this.#fail(`unexpected ${JSON.stringify(token?.text ?? "")} in ${word} clause`);
    this.#next++;
    return String(token.value);
  }

  #known(name: string): void {
    if (!this.#scopes.some((scope) => scope.has(name)))
      throw this.#fail(`undefined variable ${JSON.stringify(name)}`);
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #accept(symbol: string): boolean {
    const token = this.#peek();
    if (token?.kind !== "symbol" || token.text !== symbol) return false;
    this.#next++;
    return true;
  }

  #finish(): void {
    const token = this.#peek();
    if (token) throw this.#fail(`unexpected ${JSON.stringify(token.text)} in command`);
  }

  #fail(why: string) {
    return invalid(`template: :${this.#line}: ${why}`);
  }
}
