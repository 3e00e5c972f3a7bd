import { invalid } from "../../base/lib/errors.ts";

/**
 * Docker Content Trust (Notary v1) is gone from Docker's own newest releases and unknown here. Who asks for signatures to be
 * checked must not get an unchecked image instead.
 */
export function refuseUnverified(
  env: Readonly<Record<string, string | undefined>>,
  disabled: boolean,
  given: boolean,
): void {
  const wanted = given ? !disabled : /^(1|t|true)$/i.test(env["DOCKER_CONTENT_TRUST"] ?? "");
  if (wanted) {
    throw invalid(
      "image signatures cannot be verified: content trust was asked for by --disable-content-trust=false or DOCKER_CONTENT_TRUST",
    );
  }
}
