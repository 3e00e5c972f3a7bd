import { describe, expect, test } from "bun:test";
import { TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { type Definition, Op, OpMetadata } from "../../base/spec/buildkit/pb.gen.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import type { ExecOp, FileOp, Vertex } from "../graph.ts";
import { imageKey } from "../plan/input.ts";
import type { ResolvedImage } from "../plan.ts";
import type { LlbInput } from "./context.ts";
import { HandedOut } from "./handed-out.ts";
import { translateDefinition } from "./translate.ts";
import { layersOf, type Tree } from "./tree.ts";

const host = { os: "linux", architecture: "amd64" };
const reference = "docker.io/library/busybox:latest";
const image: ResolvedImage = {
  digest: digestOf("index"),
  image: digestOf("config"),
  config: { ...host, rootfs: { type: "layers", diff_ids: [digestOf("layer") as string as never] } },
};

type Fields = NonNullable<Parameters<typeof Op.create>[0]>;
type Link = readonly [digest: string, index?: number];

/** Operations by name of their bytes' digest; the last is the result. */
class Made {
  readonly def: Uint8Array[] = [];
  readonly metadata: Record<string, OpMetadata> = {};

  op(inputs: readonly Link[], fields: Fields, metadata: Partial<OpMetadata> = {}): Link {
    const links = inputs.map(([digest, index = 0]) => ({ digest, index: BigInt(index) }));
    const bytes = Op.encode(Op.create({ ...fields, inputs: links })).finish();
    const digest = digestOf(bytes);
    this.def.push(bytes);
    this.metadata[digest] = OpMetadata.create(metadata);
    return [digest];
  }

  source(identifier: string, attrs: Record<string, string> = {}): Link {
    return this.op([], { source: { identifier, attrs } });
  }

  exec(
    root: Link,
    mounts: NonNullable<NonNullable<Fields["exec"]>["mounts"]> = [],
    more: Fields["exec"] = {},
  ): Link {
    const meta = { args: ["true"], cwd: "/" };
    return this.op([root], {
      exec: { meta, ...more, mounts: [{ input: 0n, dest: "/", output: 0n }, ...mounts] },
    });
  }

  done([digest, index = 0]: Link): Definition {
    const last = Op.encode(Op.create({ inputs: [{ digest, index: BigInt(index) }] })).finish();
    return { def: [...this.def, last], metadata: this.metadata, source: undefined };
  }
}

function translated(definition: Definition, more: Partial<LlbInput> = {}): Tree {
  const answer = translateDefinition(definition, {
    session: "s1",
    lenders: new Set(),
    host,
    pull: false,
    images: new Map([[imageKey(reference, host), image]]),
    handed: (identifier) => new HandedOut().find(identifier),
    ...more,
  });
  if (answer.kind !== "translated") throw new Error(`needs ${answer.images.map(({ key }) => key).join()}`);
  return answer.tree;
}

const kinds = (vertices: readonly Vertex[]) => vertices.map(({ op }) => op.kind);

describe("a definition that does not hold together", () => {
  const refused = (definition: Definition, why: string) => {
    let error: unknown;
    try {
      translated(definition);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(TugError);
    expect((error as TugError).message).toContain(why);
  };

  test("is refused with what is wrong", () => {
    const made = new Made();
    const local = made.source("local://context");
    const missing = digestOf("nothing");
    refused(made.done([missing]), `invalid missing input digest ${missing}`);
    refused(made.done(["sha256:short"]), "invalid digest");
    refused(made.done([local[0], 7]), "has no output 7");
    refused({ def: [Buffer.from([255, 255, 255])], metadata: {}, source: undefined }, "failed to parse");
    refused({ def: made.def, metadata: {}, source: undefined }, "has to name its result");
    const two = Op.encode(Op.create({ source: { identifier: "local://a" }, file: { actions: [] } })).finish();
    refused(made.done([digestOf(two)]), "invalid missing input");
    const both = new Made();
    both.def.push(two);
    refused(both.done([digestOf(two)]), "of no kind that this builder knows");
    const empty = new Made();
    refused(empty.done(empty.op([], {})), "of no kind that this builder knows");
  });

  test("is refused when it is too much", () => {
    const def = Array.from({ length: 20_001 }, () => new Uint8Array([1]));
    refused({ def, metadata: {}, source: undefined }, "20000 are allowed");
    const large = new Uint8Array(33 << 20);
    refused({ def: [large], metadata: {}, source: undefined }, "bytes");
    const made = new Made();
    const actions = Array.from({ length: 10_001 }, () => ({ rm: { path: "/x" } }));
    refused(made.done(made.op([], { file: { actions } })), "10000 are allowed");
  });

  test("is refused for inputs that are none, actions that read later ones, and roots that are missing", () => {
    const made = new Made();
    const local = made.source("local://context");
    const bad = (fields: Fields) => made.done(made.op([local], fields));
    refused(
      bad({ file: { actions: [{ input: 5n, secondaryInput: -1n, rm: { path: "/x" } }] } }),
      "action 0 reads action 4",
    );
    refused(
      bad({ file: { actions: [{ input: -2n, secondaryInput: -1n, rm: { path: "/x" } }] } }),
      "reads input -2",
    );
    refused(
      bad({ file: { actions: [{ input: 0n, secondaryInput: -1n, output: 0n, rm: { path: "/a/.." } }] } }),
      "cannot remove the root",
    );
    refused(bad({ exec: { meta: { args: ["x"] }, mounts: [] } }), "has no root");
    refused(bad({ exec: { meta: { args: [] } } }), "has no command");
    refused(
      bad({ exec: { meta: { args: ["x"] }, network: 9 as never, mounts: [{ dest: "/" }] } }),
      "network mode 9",
    );
    refused(bad({ merge: { inputs: [{ input: 3n }] } }), "reads input 3");
    refused(
      bad({ file: { actions: [{ input: 0n, secondaryInput: -1n, output: 0n }] } }),
      "an action that this builder does not know",
    );
  });

  test("is refused for sources that nobody has, and capabilities that are not served", () => {
    const made = new Made();
    refused(made.done(made.source("blob://x")), "is none that this builder has");
    refused(
      made.done(made.source("local://c", { "local.session": "other" })),
      'no active session for "other"',
    );
    refused(made.done(made.source("https://h/f", { "http.checksum": "md5:x" })), "invalid http.checksum");
    refused(made.done(made.source("https://h/f", { "http.filename": "../x" })), "invalid http.filename");
    refused(made.done(made.source("https://h/f", { "http.header.accept": "x" })), "http.header.accept");
    refused(made.done(made.source("oci-layout://name:tag")), "has no digest");
    refused(made.done(made.op([], { build: { builder: -1n } })), "of the kind build");
    const caps = made.op([], { source: { identifier: "local://z" } }, { caps: { "exec.new": true } });
    refused(made.done(caps), "requested experimental feature exec.new");
  });
});

describe("a translated definition", () => {
  test("of nothing is the empty tree", () => {
    expect(translated({ def: [], metadata: {}, source: undefined })).toEqual({
      vertex: undefined,
      base: undefined,
      layers: undefined,
    });
  });

  test("asks for images that it does not know, once, and pins them", () => {
    const made = new Made();
    const source = made.source(`docker-image://${reference}`, { "image.resolvemode": "pull" });
    const answer = translateDefinition(made.done(made.exec(source)), {
      ...{ session: "s1", lenders: new Set<string>(), host, pull: false, images: new Map() },
      handed: () => {
        throw new Error("nothing");
      },
    });
    expect(answer).toMatchObject({ kind: "needs", images: [{ reference, pull: true, platform: host }] });
    const tree = translated(made.done(made.exec(source)));
    expect(tree.vertex?.inputs[0]?.op).toMatchObject({ kind: "image", image: image.image });
    expect(tree.base).toEqual({ reference, image: image.image, layers: image.config.rootfs.diff_ids });
    expect(kinds(layersOf(tree))).toEqual(["exec"]);
  });

  test("has one vertex for each output of a program, which know of each other", () => {
    const made = new Made();
    const run = made.exec(made.source(`docker-image://${reference}`), [
      { input: -1n, dest: "out", output: 1n },
      { input: 0n, dest: "/ro", output: 2n, readonly: true },
    ]);
    const op = (index: number) => translated(made.done([run[0], index])).vertex?.op as ExecOp;
    expect(op(0)).toMatchObject({ kept: [-1, 0], result: -1 });
    expect(op(1)).toMatchObject({ kept: [-1, 0], result: 0, mounts: [{ kind: "bind", target: "/out" }, {}] });
    // What is only read is what came in.
    expect(translated(made.done([run[0], 2])).vertex?.op.kind).toBe("image");
    const alone = translated(made.done(made.exec(made.source("local://c")))).vertex?.op as ExecOp;
    expect([alone.kept, alone.result]).toEqual([undefined, undefined]);
  });

  test("carries names, --no-cache and places, and none of them decides what a step is", () => {
    const plain = new Made();
    const told = new Made();
    const description = { "llb.customname": "my step" };
    const fields = {
      file: {
        actions: [
          { input: -1n, secondaryInput: -1n, output: 0n, mkdir: { path: "/d", mode: 0o700, timestamp: -1n } },
        ],
      },
    };
    const named = told.op([], fields, { ignoreCache: true, description });
    const range = { start: { line: 3, character: 0 }, end: { line: 4, character: 0 } };
    const source = {
      infos: [{ filename: "Buildfile", data: new Uint8Array(), language: "" }],
      locations: { [named[0]]: { locations: [{ sourceIndex: 0, ranges: [range] }] } },
    };
    const vertex = translated({ ...told.done(named), source }).vertex;
    expect(vertex).toMatchObject({ name: "my step", ignoreCache: true, location: { file: 0, range } });
    expect(vertex?.digest).toBe(translated(plain.done(plain.op([], fields))).vertex?.digest as Digest);
    const beyond = {
      ...source,
      locations: { [named[0]]: { locations: [{ sourceIndex: 9, ranges: [range] }] } },
    };
    expect(translated({ ...told.done(named), source: beyond }).vertex?.location).toBeUndefined();
  });

  test("puts the actions that lead to an output into one step, apart where their times differ", () => {
    const made = new Made();
    const mkdir = (input: bigint, path: string, output: bigint, timestamp: bigint) => ({
      input,
      secondaryInput: -1n,
      output,
      mkdir: { path, mode: 0o755, timestamp },
    });
    const files = made.op([], {
      file: {
        actions: [mkdir(-1n, "/a", -1n, -1n), mkdir(0n, "/b", 0n, -1n), mkdir(1n, "/c", 1n, 5_000_000_000n)],
      },
    });
    const first = translated(made.done([files[0], 0])).vertex?.op as FileOp;
    expect(first.actions).toHaveLength(2);
    const second = translated(made.done([files[0], 1]));
    expect(layersOf(second).map(({ op }) => (op as FileOp).epoch)).toEqual([undefined, 5]);
  });

  test("merges what was made on nothing as it is, and what began from an image layer by layer", () => {
    const made = new Made();
    const file = (path: string) =>
      made.op([], {
        file: {
          actions: [
            {
              input: -1n,
              secondaryInput: -1n,
              output: 0n,
              mkfile: { path, data: new Uint8Array(), mode: 0o644, timestamp: -1n },
            },
          ],
        },
      });
    const ran = made.exec(made.source(`docker-image://${reference}`));
    const inputs = [file("/a"), file("/b"), ran];
    const merged = translated(
      made.done(made.op(inputs, { merge: { inputs: [{ input: 0n }, { input: 1n }, { input: 2n }] } })),
    );
    expect(kinds(layersOf(merged))).toEqual(["file", "restack", "changes", "changes"]);
    const diff = made.op([made.source(`docker-image://${reference}`), ran], {
      diff: { lower: { input: 0n }, upper: { input: 1n } },
    });
    expect(kinds(layersOf(translated(made.done(diff))))).toEqual(["changes"]);
    const onto = translated(
      made.done(made.op([file("/a"), diff], { merge: { inputs: [{ input: 0n }, { input: 1n }] } })),
    );
    // The difference is taken onto what it is merged with: only there can it remove anything.
    expect(onto.vertex?.op).toMatchObject({ kind: "changes", root: 0, lower: 1, upper: 2 });
    const same = made.op([ran, ran], { diff: { lower: { input: 0n }, upper: { input: 1n } } });
    expect(translated(made.done(same)).vertex).toBeUndefined();
  });

  test("may be one long chain, or wide, in time that grows with it", () => {
    const made = new Made();
    let at = made.source("local://context");
    for (let i = 0; i < 5_000; i++)
      at = made.op([at, at], {
        file: {
          actions: [
            {
              input: 0n,
              secondaryInput: 1n,
              output: 0n,
              copy: { src: `/${i}`, dest: "/", mode: -1, timestamp: -1n },
            },
          ],
        },
      });
    expect(layersOf(translated(made.done(at)))).toHaveLength(5_001);
  });
});

describe("results that were handed out", () => {
  const target = {
    platform: host,
    stage: "0",
    root: undefined,
    config: host,
    inheritedHistory: 0,
    base: undefined,
    layers: [],
  };

  test("are known by what clients have of them, while they are held and some time after, and by nothing else", () => {
    const handed = new HandedOut();
    const session = { id: "lender" } as never;
    const offers = Array.from({ length: 1_001 }, () => handed.offer({ target, session }));
    const identifierOf = (definition: Definition) =>
      Op.decode(definition.def[0] ?? new Uint8Array()).source?.identifier ?? "";
    const [first, second] = offers.map(({ definition }) => identifierOf(definition));
    expect(handed.find(first ?? "").session.id).toBe("lender");
    expect(first).not.toBe(second);
    for (const offer of offers) offer[Symbol.dispose]();
    expect(() => handed.find(first ?? "")).toThrow("not known any more");
    expect(handed.find(second ?? "").target).toBe(target);
    expect(() => handed.find("tug-result://")).toThrow("not known any more");
    const made = new Made();
    const used = made.exec(made.source(second ?? ""));
    expect(
      translated(made.done(used), { handed: (identifier) => handed.find(identifier) }).vertex?.inputs,
    ).toEqual([]);
  });
});
