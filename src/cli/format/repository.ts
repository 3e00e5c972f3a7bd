import { invalid } from "../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";

/** "repo[:tag]" for the API's `repo` and `tag` parameters; a digest is refused. */
export function splitRepository(name: string | undefined): { repo: string; tag: string } {
  if (name === undefined || name === "") return { repo: "", tag: "" };
  const parsed = parseReference(name);
  if (parsed.digest !== undefined) throw invalid("refusing to create a tag with a digest reference");
  const reference = withDefaultTag(parsed);
  return { repo: familiarName(reference), tag: reference.tag ?? "" };
}
