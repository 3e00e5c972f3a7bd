import type { FrameWriter } from "./framing.ts";

/** Encoding of one message type; the generated codecs of base/spec/buildkit have this shape. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  /** The same as `encode`, to where the message leaves from; false: not of this message, nothing was written. For those that come by the thousand. */
  writeTo?(message: T, into: FrameWriter): boolean;
}

/** A method of a service. Whether either direction is a stream is the caller's and the server's business: on the wire it is the same. */
export interface Method<I, O> {
  /** "/moby.buildkit.v1.Control/Solve" */
  readonly path: string;
  readonly input: Codec<I>;
  readonly output: Codec<O>;
}
