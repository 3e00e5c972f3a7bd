/** Positions in a Dockerfile: lines from 1, characters from 0, ends included, as BuildKit's ops.proto has them. */
export interface SourceRange {
  readonly start: Position;
  readonly end: Position;
}

export interface Position {
  readonly line: number;
  readonly character: number;
}

/** Whole lines, as BuildKit counts them. */
export function linesRange(first: number, last: number): SourceRange {
  return { start: { line: first, character: 0 }, end: { line: Math.max(first, last), character: 0 } };
}

/** One range for each line, the form in which BuildKit tells positions to clients. */
export function perLine(range: SourceRange): readonly SourceRange[] {
  const { start, end } = range;
  return Array.from({ length: end.line - start.line + 1 }, (_, i) =>
    linesRange(start.line + i, start.line + i),
  );
}

/** A Dockerfile as it was written: nothing in it is expanded yet. */
export interface Dockerfile {
  readonly directives: readonly Directive[];
  readonly escape: EscapeToken;
  /** ARG before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  /** At least one. */
  readonly stages: readonly Stage[];
  /** Last lines of instructions that have empty lines between their continuations. */
  readonly emptyContinuations: readonly SourceRange[];
}

export type EscapeToken = "\\" | "`";

export interface Directive {
  readonly name: "syntax" | "check" | "escape";
  readonly value: string;
  readonly range: SourceRange;
}

export interface Stage {
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
}

/** What every instruction has. */
export interface InstructionBase {
  /** As it was written: "RUN", "run". */
  readonly keyword: string;
  /** The whole instruction on one line, continuations joined, heredocs left out. */
  readonly source: string;
  readonly range: SourceRange;
  /** Comment lines right above it, without their "#". */
  readonly comments: readonly string[];
}

export interface FromInstruction extends InstructionBase {
  readonly kind: "FROM";
  readonly base: string;
  /** In lower case; undefined: it has no name. */
  readonly stage: string | undefined;
  /** As it was written after AS. */
  readonly writtenStage: string | undefined;
  readonly writtenAs: string | undefined;
  /** --platform, "" for none. */
  readonly platform: string;
}

export interface ArgInstruction extends InstructionBase {
  readonly kind: "ARG";
  readonly args: readonly { readonly name: string; readonly value: string | undefined }[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** `ENV name the value`, without "=". */
  readonly legacy: boolean;
}

export interface EnvInstruction extends InstructionBase {
  readonly kind: "ENV" | "LABEL";
  readonly pairs: readonly KeyValue[];
}

/** Shell form: one text for a shell. JSON form: words. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly shell: boolean;
  readonly heredocs: readonly Heredoc[];
}

export interface Heredoc {
  readonly name: string;
  /** `<<-`: leading tabs are taken off. */
  readonly chomp: boolean;
  /** No part of the name is quoted: variables in the content mean something. */
  readonly expand: boolean;
  readonly content: string;
}

export interface RunInstruction extends InstructionBase {
  readonly kind: "RUN";
  readonly command: CommandLine;
  /** As written; `parseMount` reads them once variables are known. */
  readonly mounts: readonly string[];
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
  readonly devices: readonly { readonly name: string; readonly required: boolean }[];
}

export interface CommandInstruction extends InstructionBase {
  readonly kind: "CMD" | "ENTRYPOINT";
  readonly command: CommandLine;
}

export interface CopyInstruction extends InstructionBase {
  readonly kind: "COPY" | "ADD";
  readonly sources: readonly string[];
  readonly documents: readonly Heredoc[];
  readonly dest: string;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
  /** COPY only; "" for none. */
  readonly from: string;
  /** COPY only. */
  readonly parents: boolean;
  /** ADD only, undefined where it was not said. */
  readonly keepGitDir: boolean | undefined;
  readonly unpack: boolean | undefined;
  readonly checksum: string;
}

export interface HealthcheckInstruction extends InstructionBase {
  readonly kind: "HEALTHCHECK";
  readonly health: Health;
}

/** Durations in nanoseconds; 0: inherited or the default. */
export interface Health {
  readonly test: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

export interface OnbuildInstruction extends InstructionBase {
  readonly kind: "ONBUILD";
  /** Without ONBUILD, heredocs and all: what the image's configuration keeps. */
  readonly trigger: string;
}

/** Instructions whose operand is one text. */
export interface TextInstruction extends InstructionBase {
  readonly kind: "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR";
  readonly value: string;
}

/** Instructions whose operands are words. */
export interface ListInstruction extends InstructionBase {
  readonly kind: "EXPOSE" | "SHELL" | "VOLUME";
  readonly values: readonly string[];
}

export type StageInstruction =
  | ArgInstruction
  | EnvInstruction
  | RunInstruction
  | CommandInstruction
  | CopyInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | TextInstruction
  | ListInstruction;

export type Instruction = FromInstruction | StageInstruction;
