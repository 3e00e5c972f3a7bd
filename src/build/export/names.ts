import {
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";

/** `name=a,b`, each once. */
export function namesOf(attributes: Readonly<Record<string, string>>): readonly Reference[] {
  const names = (attributes["name"] ?? "").split(",").filter((name) => name !== "");
  const known = new Map(names.map((name) => [canonicalName(parseReference(name)), parseReference(name)]));
  return [...known.values()];
}

/** "docker.io/library/busybox:latest" */
export function canonicalName(ref: Reference): string {
  const { domain, path, tag } = withDefaultTag(ref);
  return `${domain}/${path}:${tag}`;
}

/** "docker.io/library/busybox" */
export function repositoryName({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** As the image store has it: "busybox:latest". */
export function storedName(ref: Reference): string {
  return familiarString(withDefaultTag({ ...ref, digest: undefined }));
}
