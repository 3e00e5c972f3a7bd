/** One story told to both engines with the same client; what it prints and how it ends must be the same. */
export interface Story {
  readonly name: string;
  /**
   * Arguments of the client, or what `until` makes of them. `<scratch>` stands for a folder of the engine's own on the host, `<client>` for
   * one of the client's.
   */
  readonly steps: readonly (readonly string[])[];
  /** Every step's standard input. */
  readonly input?: string;
  /** The judge waits for long, for itself alone: all steps are told at once, beside the other stories. They may make nothing. */
  readonly aside?: true;
}

/** A step that is told again until what it prints matches: for what an engine does by itself, and nobody can be asked to wait for. */
export const until = (pattern: RegExp, ...step: readonly string[]): readonly string[] => [
  untilWord,
  pattern.source,
  ...step,
];
export const untilWord = "until";

/** Requests told to both engines without a client in between: status and body must be the same. */
export interface Conversation {
  readonly name: string;
  readonly requests: readonly Request[];
  /** As for a story. */
  readonly aside?: true;
}

export interface Request {
  /** "GET /path"; without a version the path goes to v1.41, the judge's newest. */
  readonly line: string;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The newest Docker's refusal, where it is worded otherwise than the judge's. */
  readonly now?: { readonly status: number; readonly message: string };
  /** Only which members there are and of what type is compared. */
  readonly shape?: boolean;
}

/** The two engines' common side: what a story needs of each. */
export interface Engine {
  /** The real one. */
  readonly judge?: true;
  readonly host: string;
  readonly socket: string;
  readonly root: string;
}

/** The command as it stands in the table of differences. */
export const commandOf = (step: readonly string[]): string => `docker ${step.join(" ")}`;
