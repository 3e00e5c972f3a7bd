declare const brand: unique symbol;
/** A string that was parsed once at the edge and is trusted inside. */
export type Branded<T extends string> = string & { readonly [brand]: T };

export type ContainerId = Branded<"ContainerId">;
export type ExecId = Branded<"ExecId">;
export type NetworkId = Branded<"NetworkId">;
/** `sha256:<64 hex>`: an image's id is the digest of its config. */
export type ImageId = Branded<"ImageId">;
/** `algorithm:hex`, validated (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = Branded<"Digest">;
/** Digest of the uncompressed layer tar. */
export type DiffId = Branded<"DiffId">;
/** Identity of a stack of layers (OCI image-spec, config.md, "Layer ChainID"). */
export type ChainId = Branded<"ChainId">;

/**
 * 64 random hex digits, as Docker names containers, networks and execs. The first twelve, a container's host name, are never decimal digits
 * alone, as in Docker: programs take such a name for a number or an address. (Web Crypto: node:crypto costs the CLI its start-up.)
 */
export function randomId(fill: (bytes: Uint8Array<ArrayBuffer>) => void = fillRandom): string {
  const bytes = new Uint8Array(32);
  for (;;) {
    fill(bytes);
    const id = bytes.toHex();
    if (!/^\d{12}/.test(id)) return id;
  }
}

function fillRandom(bytes: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(bytes);
}

/** The 12 digits people see. */
export function shortId(id: string): string {
  const hex = id.startsWith("sha256:") ? id.slice(7) : id;
  return hex.slice(0, 12);
}
