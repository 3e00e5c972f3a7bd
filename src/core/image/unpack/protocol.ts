import type { ErrorCode } from "../../../base/lib/errors.ts";
import type { DiffId } from "../../../base/lib/ids.ts";
import type { LayerTarget } from "../../snapshot/apply/apply-layer.ts";

/** Name of the helper program that unpacks. */
export const unpackHelper = "unpack";

/** What the daemon writes to the helper's standard input, as one JSON document. */
export interface UnpackRequest {
  /** Path of the layer's blob. */
  readonly blob: string;
  readonly target: LayerTarget;
  /** What the tar must hash to; undefined accepts any (import). */
  readonly diffId: DiffId | undefined;
  /** The blob is the tar itself and the store has checked it against `diffId`: hashing it once more tells nothing. */
  readonly verified: boolean;
}

/** One line of JSON on the helper's standard output; the last one is "done" or "failed". */
export type UnpackReport =
  | { readonly kind: "progress"; readonly bytes: number }
  | { readonly kind: "done"; readonly diffId: DiffId; readonly size: number; readonly entries: number }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };
