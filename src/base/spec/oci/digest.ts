import { CryptoHasher } from "bun";
import type { Digest } from "../../lib/ids.ts";

/** The registered algorithms this code accepts (OCI image-spec, descriptor.md, "Registered algorithms"). */
export type DigestAlgorithm = "sha256" | "sha384" | "sha512";

/** The two halves of a digest that was validated by `parseDigest`. */
export function splitDigest(digest: Digest): { readonly algorithm: DigestAlgorithm; readonly hex: string } {
  const colon = digest.indexOf(":");
  return { algorithm: digest.slice(0, colon) as DigestAlgorithm, hex: digest.slice(colon + 1) };
}

/** sha256 of bytes or of a text's UTF-8. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${new CryptoHasher("sha256").update(bytes).digest("hex")}` as Digest;
}

/** A running hash that ends as a digest. */
export class Digester {
  readonly algorithm: DigestAlgorithm;
  readonly #hash: CryptoHasher;
  #bytes = 0;
  constructor(algorithm: DigestAlgorithm = "sha256") {
    this.algorithm = algorithm;
    this.#hash = new CryptoHasher(algorithm);
  }

  /** Bytes hashed so far. */
  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.byteLength;
  }

  /** Ends the hash: call once. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.digest("hex")}` as Digest;
  }
}
