import { invalid, TugError } from "../../base/lib/errors.ts";
import type {
  ChownOpt,
  FileActionCopy,
  FileAction as PbAction,
  FileOp as PbFileOp,
  UserOpt,
} from "../../base/spec/buildkit/pb.gen.ts";
import { cleanPath } from "../../base/spec/dockerfile/ignore.ts";
import { hasWildcard } from "../../base/spec/dockerfile/match.ts";
import type { CopyAction, FileAction, FileOp, Owner } from "../graph.ts";
import { copyAction } from "../plan/copy-action.ts";
import { optionalPattern } from "../plan/inputs.ts";
import { Inputs } from "../plan/vertices.ts";
import { parseModeChange } from "../run/file/copy/chmod.ts";
import { inputAt, type OpContext } from "./context.ts";
import { asRoot, emptyTree, onTop, type Tree } from "./tree.ts";

/** Actions of all outputs of one operation, each as often as outputs have it. */
const maxActions = 50_000;

/** One action and the ones before it, back to the tree that they work on. */
interface Chain {
  readonly root: Tree;
  /** The operation's input that the root is. */
  readonly rootInput: bigint;
  readonly length: number;
  readonly before: Chain | undefined;
  readonly action: PbAction;
  /** What a copy reads. */
  readonly from: Tree;
}

/** A file operation's outputs: for each the actions that lead to it, as one step. */
export function translateFile(context: OpContext, file: PbFileOp): readonly (readonly [number, Tree])[] {
  const { decoded } = context;
  const wanted = new Set(decoded.outputs);
  const count = decoded.inputs.length;
  const read = new Set(file.actions.map(({ secondaryInput }) => Number(secondaryInput) - count));
  const chains: Chain[] = [];
  /** Of actions that a later one copies from. */
  const made = new Map<number, Tree>();
  const outputs: (readonly [number, Tree])[] = [];
  const budget = { left: maxActions };
  for (const [at, action] of file.actions.entries()) {
    const earlier = (input: bigint): number | undefined => {
      const index = Number(input) - count;
      if (index < 0) return undefined;
      if (index >= at) throw invalid(`operation ${decoded.digest}: action ${at} reads action ${index}`);
      return index;
    };
    const before = earlier(action.input);
    const other = earlier(action.secondaryInput);
    const previous = before === undefined ? undefined : chains[before];
    const from =
      other === undefined
        ? (inputAt(context, action.secondaryInput) ?? emptyTree)
        : (made.get(other) ?? emptyTree);
    const root = previous?.root ?? asRoot(inputAt(context, action.input) ?? emptyTree, context.platform);
    const rootInput = previous?.rootInput ?? action.input;
    const length = (previous?.length ?? 0) + 1;
    const chain = { root, rootInput, action, from, before: previous, length };
    chains.push(chain);
    const isOutput = action.output >= 0n && wanted.has(Number(action.output));
    if (!isOutput && !read.has(at)) continue;
    const tree = treeOfChain(context, chain, budget);
    made.set(at, tree);
    if (isOutput) outputs.push([Number(action.output), tree]);
  }
  return outputs;
}

/** Steps of a chain: as many as its actions have different times. */
function treeOfChain(context: OpContext, last: Chain, budget: { left: number }): Tree {
  budget.left -= last.length;
  if (budget.left < 0)
    throw invalid(`operation ${context.decoded.digest} comes to more than ${maxActions} actions`);
  const chain: Chain[] = [];
  for (let at: Chain | undefined = last; at; at = at.before) chain.push(at);
  chain.reverse();
  let tree = last.root;
  for (let from = 0; from < chain.length; ) {
    const epoch = epochOf(chain[from]);
    let to = from + 1;
    while (to < chain.length && epochOf(chain[to]) === epoch) to++;
    tree = step(context, tree, chain.slice(from, to), epoch);
    from = to;
  }
  return tree;
}

function step(context: OpContext, below: Tree, chain: readonly Chain[], epoch: number | undefined): Tree {
  const inputs = new Inputs();
  const root = inputs.index(below.vertex);
  const actions = chain.map((one) => actionOf(context, one, inputs.index(one.from.vertex)));
  const op: FileOp = { kind: "file", root, actions, epoch, platform: context.platform };
  return onTop(below, context.vertex(op, inputs, nameOf(actions)));
}

function nameOf(actions: readonly FileAction[]): string {
  const [first] = actions;
  if (!first) return "file";
  const shown =
    first.kind === "copy" ? `copy ${first.sources.join(" ")} ${first.dest}` : `${first.kind} ${first.path}`;
  return actions.length > 1 ? `${shown} (and ${actions.length - 1} more)` : shown;
}

/** Seconds; undefined: copies keep the source's times, what is made gets now. */
function epochOf(chain: Chain | undefined): number | undefined {
  const { copy, mkfile, mkdir, symlink } = chain?.action ?? {};
  const time = (copy ?? mkfile ?? mkdir ?? symlink)?.timestamp ?? -1n;
  return time < 0n ? undefined : Number(time / 1_000_000_000n);
}

function actionOf(context: OpContext, chain: Chain, from: number | undefined): FileAction {
  const { copy, mkfile, mkdir, rm, symlink } = chain.action;
  const owner = (chown: ChownOpt | undefined) => ownerOf(chown, chain);
  if (copy) return copyOf(copy, from, owner(copy.owner));
  if (mkfile) {
    const content = Buffer.from(mkfile.data).toString("base64");
    const { path } = mkfile;
    return {
      ...{ kind: "write", path, mode: bits(mkfile.mode), owner: owner(mkfile.owner) },
      content,
      encoding: "base64",
    };
  }
  if (mkdir) return { kind: "mkdir", path: mkdir.path, mode: bits(mkdir.mode), owner: owner(mkdir.owner) };
  if (rm) {
    const { path, allowNotFound, allowWildcard } = rm;
    if (cleanPath(`/${path}`) === "/") throw invalid("a file operation cannot remove the root itself");
    return { kind: "remove", path, wildcard: allowWildcard, optional: allowNotFound };
  }
  if (symlink) {
    const { oldpath, newpath } = symlink;
    return { kind: "symlink", path: newpath, target: oldpath, owner: owner(symlink.owner) };
  }
  throw new TugError(
    "not-implemented",
    `operation ${context.decoded.digest} has an action that this builder does not know: copy, mkfile, mkdir, rm and symlink`,
  );
}

const bits = (mode: number): number => mode & 0o7777;

function copyOf(copy: FileActionCopy, from: number | undefined, owner: Owner | undefined): FileAction {
  const { mode, modeStr, followSymlink, dirCopyContents, allowWildcard, allowEmptyWildcard } = copy;
  const chmod = modeStr !== "" ? modeStr : mode >= 0 ? bits(mode).toString(8).padStart(4, "0") : undefined;
  if (chmod !== undefined) parseModeChange(chmod);
  const source = cleanPath(`/${copy.src}`).slice(1);
  const { includePatterns, excludePatterns, requiredPaths } = copy;
  const including = includePatterns.length > 0;
  const options: Partial<CopyAction> = {
    owner,
    chmod,
    exclude: excludePatterns,
    unpack: copy.attemptUnpackDockerCompatibility,
    ...(!dirCopyContents && { whole: true }),
    ...(!followSymlink && !including && { asLink: true }),
    ...(allowWildcard && !allowEmptyWildcard && !including && { mustMatch: true }),
    ...(copy.alwaysReplaceExistingDestPaths && { replace: true }),
  };
  const dest = copy.dest.startsWith("/") ? copy.dest : `/${copy.dest}`;
  if (!including)
    return copyAction({
      ...options,
      from,
      sources: [source === "" ? "/" : source],
      wildcard: allowWildcard,
      dest,
    });
  if (allowWildcard && hasWildcard(source))
    throw new TugError("not-implemented", `a copy of ${copy.src} with include patterns: name a directory`);
  const required = new Set(requiredPaths.map((path) => cleanPath(`/${path}`).slice(1)));
  const sources = includePatterns.map((pattern) => `/${source}/./${includeSource(pattern, required)}`);
  return copyAction({ ...options, from, sources, wildcard: true, parents: true, dest });
}

/** A pattern as --parents takes it; what is no pattern is made one, so that it may be missing. */
function includeSource(pattern: string, required: ReadonlySet<string>): string {
  if (pattern.startsWith("!"))
    throw new TugError(
      "not-implemented",
      `the include pattern ${JSON.stringify(pattern)} of a copy: name what to leave out as an exclude pattern`,
    );
  const clean = cleanPath(`/${pattern}`).slice(1);
  return required.has(clean) ? clean : optionalPattern(clean);
}

/** Names are looked up in the root that is written to. */
function ownerOf(chown: ChownOpt | undefined, { action, rootInput }: Chain): Owner | undefined {
  if (!chown) return undefined;
  const name = (who: UserOpt | undefined): string | undefined => {
    if (who?.byID !== undefined) return String(who.byID);
    const named = who?.byName;
    if (!named || named.name === "") return undefined;
    if (named.input !== action.input && named.input !== rootInput)
      throw new TugError(
        "not-implemented",
        `the owner ${JSON.stringify(named.name)} is to be looked up in another tree than the one that is written to: name it by number`,
      );
    return named.name;
  };
  const user = name(chown.user);
  const group = name(chown.group);
  if (user === undefined && group === undefined) return undefined;
  // A number brings no group with it.
  return { user: user ?? "0", group: group ?? (chown.user?.byName ? undefined : "0") };
}
