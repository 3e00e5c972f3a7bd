import { Duplex } from "node:stream";

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

/** The same as Node's stream, which is what `node:http2` runs on. */
export function toDuplex(bytes: ByteStream): Duplex {
  let reading = false;
  const duplex: Duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (reading) return;
      reading = true;
      bytes.next().then(
        (chunk) => {
          reading = false;
          duplex.push(chunk ?? null);
        },
        (error: unknown) => duplex.destroy(asError(error)),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      bytes.write(chunk).then(() => done(), asFailure(done));
    },
    writev(chunks, done) {
      const parts = chunks.map((part) => part.chunk as Uint8Array);
      bytes.write(Buffer.concat(parts)).then(() => done(), asFailure(done));
    },
    final(done) {
      bytes.end();
      done();
    },
    destroy(error, done) {
      bytes.close();
      done(error);
    },
  });
  // HTTP/2 has no connection that is open in one direction only (RFC 9113, 5.4.1 and 6.8 end it as a whole).
  duplex.on("end", () => duplex.destroy());
  return duplex;
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
const asFailure = (done: (error: Error) => void) => (error: unknown) => done(asError(error));
