import type { ErrorCode } from "../../../base/lib/errors.ts";
import type { DiffId } from "../../../base/lib/ids.ts";
import type { LayerTarget } from "../../snapshot/apply/apply-layer.ts";

/** Name of the helper program that unpacks. */
export const unpackHelper = "unpack";

/** What the daemon writes to the helper's standard input, as one line of JSON. */
export type UnpackRequest = WholeRequest | ArrivingRequest;

/** A layer whose blob is there and whose place is known. */
export interface WholeRequest {
  /** Path of the layer's blob. */
  readonly blob: string;
  readonly target: LayerTarget;
  /** What the tar must hash to; undefined accepts any (import). */
  readonly diffId: DiffId | undefined;
  /** The blob is the tar itself and the store has checked it against `diffId`: hashing it once more tells nothing. */
  readonly verified: boolean;
}

/**
 * A layer whose blob may still be arriving, and of which nobody may know yet what it lies on. The blob is descriptor 3; what is known is
 * told by further lines (`UnpackNews`).
 */
export interface ArrivingRequest {
  /** Directory that takes the layer's changes, in overlay's layout. */
  readonly upper: string;
  /** Bytes that the blob will have. */
  readonly size: number;
}

/** A further line on the standard input of a helper that unpacks an arriving layer. */
export type UnpackNews =
  /** So many bytes of the blob can be read. */
  | { readonly kind: "written"; readonly size: number }
  /** The layers below, nearest first. They are complete. */
  | { readonly kind: "lowers"; readonly lowers: readonly string[] };

/** One line of JSON on the helper's standard output; the last one is "done" or "failed". */
export type UnpackReport =
  | { readonly kind: "progress"; readonly bytes: number }
  | DoneReport
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

export interface DoneReport {
  readonly kind: "done";
  /** Undefined for an arriving blob that is the tar itself: who writes the blob hashes it anyway. */
  readonly diffId?: DiffId | undefined;
  readonly size: number;
  readonly entries: number;
  /** The tar told of the root directory itself. */
  readonly root: boolean;
}

/** The descriptor that an arriving blob is read from. */
export const arrivingFd = 3;
