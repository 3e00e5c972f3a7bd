import { invalid } from "../../../../base/lib/errors.ts";

const allowed = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Refuses names that are no single, harmless directory name, in Docker's words. */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw invalid("volume name is too short, names should be at least two alphanumeric characters");
  }
  if (!allowed.test(name)) {
    throw invalid(
      `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (Buffer.byteLength(name) > 255)
    throw invalid("volume name is too long, names should be at most 255 characters");
}
