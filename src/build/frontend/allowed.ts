import { invalid, TugError } from "../../base/lib/errors.ts";
import { familiarName, parseReference, type Reference } from "../../base/spec/docker/reference.ts";

/** Throws for an image whose program may not plan builds. */
export type FrontendPolicy = (image: Reference) => void;

/**
 * daemon.json, `builder.frontends`: repositories whose images may plan builds as frontends, "*" for all; none unless told, as a frontend is
 * anybody's program that is handed the build. Throws invalid-argument for what is no such list.
 */
export function readFrontendPolicy(builder: unknown): FrontendPolicy {
  const given =
    typeof builder === "object" && builder !== null && "frontends" in builder ? builder.frontends : [];
  if (!Array.isArray(given)) throw invalid("builder.frontends: expected a list of repositories");
  const allowed = new Set(given.map(readRepository));
  return (image) => {
    const name = familiarName(image);
    if (allowed.has("*") || allowed.has(name)) return;
    const setting = JSON.stringify({ builder: { frontends: [name] } });
    throw new TugError(
      "forbidden",
      `the frontend ${name} is not run: a frontend is a program that plans the build, and this daemon allows none of that name; ` +
        `allow it with ${setting} in daemon.json, or name docker/dockerfile, which is built in`,
    );
  };
}

function readRepository(one: unknown): string {
  if (one === "*") return one;
  if (typeof one !== "string") throw invalid("builder.frontends: expected a list of repositories");
  const ref = parseReference(one);
  if (ref.tag !== undefined || ref.digest !== undefined)
    throw invalid(
      `builder.frontends: ${JSON.stringify(one)}: expected a repository, without a tag or digest`,
    );
  return familiarName(ref);
}
