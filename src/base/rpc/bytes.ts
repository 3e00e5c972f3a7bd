/** A connection's bytes in both directions: a hijacked request, a socket. */
export interface ByteStream {
  /** What came, piece by piece; undefined when the peer ended its direction. */
  next(): Promise<Uint8Array | undefined>;
  /** Resolves when the peer keeps up. The bytes may be reused once it did. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends our direction. */
  end(): void;
  /** Cuts both. */
  close(): void;
}
