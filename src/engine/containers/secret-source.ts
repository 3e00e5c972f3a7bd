/** What containers need of the secret service. */
export interface SecretSource {
  resolve(reference: string): { readonly id: string; readonly name: string };
  /** The plain text, for a container's tmpfs and nobody else. */
  reveal(id: string): Uint8Array;
}
