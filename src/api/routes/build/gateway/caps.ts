import { llbCaps } from "../../../../base/spec/buildkit/llb-caps.ts";

/** What clients may ask of this builder, by BuildKit's names (frontend/gateway/pb/caps.go, solver/pb/caps.go). */
const frontend = [
  "solve.base",
  "solve.inlinereturn",
  "return",
  "returnmap",
  "proto.refarray",
  "reference.output",
  "resolveimage",
  "resolveimage.resolvemode",
  "source.metaresolver",
  "readfile",
  "readdir",
  "statfile",
  "frontend.inputs",
  "importcaches",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "gateway.warnings",
  "frontend.caps",
];

/** Beyond operations: exporters' powers and others, which clients look for before they ask for them. */
const builder = [
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
export const apiCaps = () => caps([...llbCaps, ...builder]);
