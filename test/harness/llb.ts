import { type Definition, Op, OpMetadata } from "../../src/base/spec/buildkit/pb.gen.ts";
import { digestOf } from "../../src/base/spec/oci/digest.ts";

type Fields = NonNullable<Parameters<typeof Op.create>[0]>;
type ExecFields = NonNullable<Fields["exec"]>;

/** Where an output of an operation is found. */
export interface Output {
  readonly digest: string;
  readonly index: number;
}

/** Operations in the making: each call gives its first output. */
export class Llb {
  readonly #ops: Uint8Array[] = [];
  readonly #metadata: Record<string, OpMetadata> = {};

  add(inputs: readonly Output[], fields: Fields, metadata: Partial<OpMetadata> = {}): Output {
    const links = inputs.map(({ digest, index }) => ({ digest, index: BigInt(index) }));
    const op = Op.encode(Op.create({ ...fields, inputs: links })).finish();
    const digest = digestOf(op);
    this.#ops.push(op);
    this.#metadata[digest] = OpMetadata.create(metadata);
    return { digest, index: 0 };
  }

  source(identifier: string, attrs: Record<string, string> = {}): Output {
    return this.add([], { source: { identifier, attrs } });
  }

  image(name: string): Output {
    return this.source(`docker-image://${name}`);
  }

  /** `/bin/sh -c script` on `root`, whose writable root is output 0. `mounts` come after it. */
  shell(
    root: Output,
    script: string,
    more: {
      readonly inputs?: readonly Output[];
      readonly mounts?: NonNullable<ExecFields["mounts"]>;
      readonly exec?: ExecFields;
      readonly metadata?: Partial<OpMetadata>;
    } = {},
  ): Output {
    const { inputs = [], mounts = [], exec = {}, metadata = {} } = more;
    const rootMount = { input: 0n, dest: "/", output: 0n };
    const meta = { args: ["/bin/sh", "-c", script], cwd: "/", ...exec.meta };
    return this.add([root, ...inputs], { exec: { ...exec, meta, mounts: [rootMount, ...mounts] } }, metadata);
  }

  file(inputs: readonly Output[], actions: NonNullable<NonNullable<Fields["file"]>["actions"]>): Output {
    return this.add(inputs, { file: { actions } });
  }

  merge(...inputs: readonly Output[]): Output {
    return this.add(inputs, { merge: { inputs: inputs.map((_, index) => ({ input: BigInt(index) })) } });
  }

  diff(lower: Output, upper: Output): Output {
    return this.add([lower, upper], { diff: { lower: { input: 0n }, upper: { input: 1n } } });
  }

  /** Operations of somebody else's, to be built on. */
  take(definition: Definition): Output {
    this.#ops.push(...definition.def.slice(0, -1));
    const last = Op.decode(definition.def.at(-1) ?? new Uint8Array());
    const [result] = last.inputs;
    if (!result) throw new Error("a definition without result");
    return { digest: result.digest, index: Number(result.index) };
  }

  definition(result: Output): Definition {
    const final = Op.create({ inputs: [{ digest: result.digest, index: BigInt(result.index) }] });
    const def = [...new Map(this.#ops.map((op) => [digestOf(op), op])).values()];
    return { def: [...def, Op.encode(final).finish()], metadata: this.#metadata, source: undefined };
  }
}
