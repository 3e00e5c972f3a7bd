/** What a client says of the session that it opens. */
export interface SessionHello {
  readonly id: string;
  readonly name: string;
  readonly sharedKey: string;
  /** Methods that it serves, as paths. */
  readonly methods: readonly string[];
}
