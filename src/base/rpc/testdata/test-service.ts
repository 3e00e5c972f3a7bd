import { BytesMessage } from "../../spec/buildkit/session.gen.ts";
import type { Method } from "../method.ts";

/** A method of a service of bytes. */
export const method = (name: string): Method<BytesMessage, BytesMessage> => ({
  path: `/test.Service/${name}`,
  input: BytesMessage,
  output: BytesMessage,
});

/** One of its messages. */
export const of = (value: string | Uint8Array) => ({ data: Buffer.from(value) });
