/** What clients may ask of this builder, by BuildKit's names (frontend/gateway/pb/caps.go, solver/pb/caps.go). */
const frontend = [
  "solve.base",
  "solve.inlinereturn",
  "return",
  "returnmap",
  "proto.refarray",
  "importcaches",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "gateway.warnings",
  "frontend.caps",
];

/** Beyond a Dockerfile's own: exporters' powers, which clients look for before they ask for them. */
const builder = [
  "source.image",
  "source.local",
  "source.local.includepatterns",
  "source.local.excludepatterns",
  "source.local.followpaths",
  "source.local.sharedkeyhint",
  "source.local.differ",
  "source.git",
  "source.http",
  "source.ocilayout",
  "exec.meta.base",
  "exec.mount.bind",
  "exec.mount.cache",
  "exec.mount.tmpfs",
  "exec.mount.secret",
  "exec.mount.ssh",
  "file.base",
  "platform",
  "constraints",
  "mergeop",
  "diffop",
  "exporter.image.annotations",
  "exporter.image.attestations",
  "exporter.sourcedateepoch",
  "exporter.multiple",
  "gc.freespacefilter",
];

const caps = (ids: readonly string[]) =>
  ids.map((id) => ({
    id,
    enabled: true,
    deprecated: false,
    disabledReason: "",
    disabledReasonMsg: "",
    disabledAlternative: "",
  }));

export const frontendCaps = () => caps(frontend);
export const apiCaps = () => caps(builder);
