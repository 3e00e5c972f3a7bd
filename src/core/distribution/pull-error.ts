import { TugError } from "../../base/lib/errors.ts";
import { familiarName, familiarString, type Reference } from "../../base/spec/docker/reference.ts";
import { withHint } from "./hint.ts";
import { RegistryError } from "./http/registry-error.ts";

/** Docker's sentence for a pull that failed, naming what was to be pulled, and what can be done about it. */
export function pullError(error: unknown, ref: Reference): unknown {
  const attempted = { action: "pull", domain: ref.domain, repository: familiarName(ref) } as const;
  return withHint(sentence(error, ref), attempted);
}

function sentence(error: unknown, ref: Reference): unknown {
  if (!(error instanceof RegistryError)) return error;
  const named = (message: string) => new TugError("not-found", message, { cause: error });
  if (error.kind === "DENIED") {
    return named(
      `pull access denied for ${familiarName(ref)}, repository does not exist or may require 'docker login': ${error.message}`,
    );
  }
  if (error.kind === "MANIFEST_UNKNOWN")
    return named(`manifest for ${familiarString(ref)} not found: ${error.message}`);
  if (error.kind === "NAME_UNKNOWN")
    return named(`repository ${familiarName(ref)} not found: ${error.message}`);
  return error;
}
