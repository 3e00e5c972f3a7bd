import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { type Definition, Op, OpMetadata } from "../../base/spec/buildkit/pb.gen.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";

/** Operations of one definition at most; BuildKit's own frontends come to some thousand. */
const maxOps = 20_000;
/** Edges of all operations together, and actions and mounts of one. */
const maxEdges = 200_000;
const maxParts = 10_000;
/** Bytes of all operations together: a definition comes in one message, but a request has several. */
const maxBytes = 32 << 20;

/** One output of an operation. */
export interface Edge {
  readonly digest: Digest;
  readonly index: number;
}

export interface DecodedOp {
  readonly digest: Digest;
  readonly op: Op;
  readonly inputs: readonly Edge[];
  readonly metadata: OpMetadata;
  /** Which of its outputs somebody reads, ascending. */
  readonly outputs: readonly number[];
}

/** A definition that holds together: every input is there and nothing needs itself. */
export interface DecodedDefinition {
  /** undefined: the empty tree. */
  readonly result: Edge | undefined;
  /** What the result needs, inputs before what reads them. */
  readonly ops: readonly DecodedOp[];
}

/** Takes a client's definition apart. Throws invalid-argument for what is none. */
export function decodeDefinition(definition: Definition): DecodedDefinition {
  const { def } = definition;
  if (def.length > maxOps) throw invalid(`a definition of ${def.length} operations: ${maxOps} are allowed`);
  const bytes = def.reduce((sum, op) => sum + op.length, 0);
  if (bytes > maxBytes) throw invalid(`a definition of ${bytes} bytes: ${maxBytes} are allowed`);
  const last = def.at(-1);
  if (!last) return { result: undefined, ops: [] };
  const encoded = new Map(def.map((op) => [digestOf(op), op] as const));
  const final = decodeOp(last);
  const [result] = edgesOf(final);
  if (!result || final.inputs.length !== 1 || bodies(final).length > 0)
    throw invalid("the last operation of a definition has to name its result: one input and nothing else");
  return { result, ops: inOrder(result, encoded, definition) };
}

const names = ["exec", "source", "file", "build", "merge", "diff", "passthrough"] as const;

/** What an operation is; one that is valid has one. */
export function bodies(op: Op): readonly (typeof names)[number][] {
  return names.filter((name) => op[name] !== undefined);
}

function decodeOp(bytes: Uint8Array): Op {
  try {
    return Op.decode(bytes);
  } catch (error) {
    throw invalid(`failed to parse llb proto op: ${messageOf(error)}`, error);
  }
}

function edgesOf(op: Op): readonly Edge[] {
  return op.inputs.map(({ digest, index }) => {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest))
      throw invalid(`invalid digest ${JSON.stringify(digest.slice(0, 80))} of an input`);
    if (index < 0n || index > maxParts) throw invalid(`invalid output ${index} of input ${digest}`);
    return { digest: digest as Digest, index: Number(index) };
  });
}

/** Depth first, without recursion: a definition may be one long chain. */
function inOrder(
  result: Edge,
  encoded: ReadonlyMap<Digest, Uint8Array>,
  definition: Definition,
): readonly DecodedOp[] {
  const outputs = new Map<Digest, Set<number>>();
  const order: Omit<DecodedOp, "outputs">[] = [];
  const onPath = new Set<Digest>();
  const stack: { readonly node: Omit<DecodedOp, "outputs">; next: number }[] = [];
  let edges = 0;
  const enter = ({ digest, index }: Edge) => {
    const known = outputs.get(digest);
    known?.add(index);
    if (onPath.has(digest)) throw invalid(`operation ${digest} needs itself`);
    if (known) return;
    outputs.set(digest, new Set([index]));
    const bytes = encoded.get(digest);
    if (!bytes) throw invalid(`invalid missing input digest ${digest}`);
    const op = decodeOp(bytes);
    const inputs = edgesOf(op);
    edges += inputs.length;
    if (edges > maxEdges) throw invalid(`a definition with more than ${maxEdges} inputs in all`);
    refuseParts(digest, op);
    const metadata = Object.hasOwn(definition.metadata, digest) ? definition.metadata[digest] : undefined;
    onPath.add(digest);
    stack.push({ node: { digest, op, inputs, metadata: metadata ?? OpMetadata.create() }, next: 0 });
  };
  enter(result);
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const input = top.node.inputs[top.next++];
    if (input) enter(input);
    else {
      onPath.delete(top.node.digest);
      order.push(top.node);
      stack.pop();
    }
  }
  const ascending = (digest: Digest) => [...(outputs.get(digest) ?? [])].sort((a, b) => a - b);
  return order.map((node) => ({ ...node, outputs: ascending(node.digest) }));
}

function refuseParts(digest: Digest, op: Op): void {
  if (bodies(op).length !== 1) throw invalid(`operation ${digest} is of no kind that this builder knows`);
  const parts =
    (op.file?.actions.length ?? 0) + (op.exec?.mounts.length ?? 0) + (op.merge?.inputs.length ?? 0);
  if (parts > maxParts) throw invalid(`operation ${digest} has ${parts} parts: ${maxParts} are allowed`);
}
