/**
 * What attach, exec and logs need of the connection they answer on; the API's StreamClient has this shape.
 */
export interface StreamClient {
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void>;
  writeEncoded(bytes: Uint8Array): Promise<void>;
  begin(options: { readonly tty: boolean }): void;
  readonly signal: AbortSignal;
}
