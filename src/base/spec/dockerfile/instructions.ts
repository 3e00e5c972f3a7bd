import { invalid } from "../../lib/errors.ts";
import { parseDuration } from "../../lib/timestamp.ts";
import { type FlagTable, FlagValues } from "./flags.ts";
import { heredocText, readHeredocMark } from "./heredoc.ts";
import { mountFrom, parseDevice } from "./mount.ts";
import type { RawNode } from "./nodes.ts";
import { withHint } from "./suggest.ts";
import type {
  CommandLine,
  CopyInstruction,
  FromInstruction,
  Health,
  Instruction,
  InstructionBase,
  KeyValue,
  OnbuildInstruction,
  RunInstruction,
} from "./syntax.ts";

/** The 18 instructions; the order is that of suggestions. */
const instructionNames = [
  ...(["ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"] as const),
  ...(["MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"] as const),
] as const;

/** Flags of each instruction; those that are not named have none. */
const flagTables = {
  ADD: {
    chown: "string",
    chmod: "string",
    link: "bool",
    "keep-git-dir": "bool",
    checksum: "string",
    unpack: "bool",
    exclude: "strings",
  },
  COPY: {
    chown: "string",
    from: "string",
    chmod: "string",
    link: "bool",
    exclude: "strings",
    parents: "bool",
  },
  FROM: { platform: "string" },
  HEALTHCHECK: {
    interval: "string",
    timeout: "string",
    "start-period": "string",
    "start-interval": "string",
    retries: "string",
  },
  RUN: { mount: "strings", network: "string", security: "string", device: "strings" },
} as const satisfies Readonly<Record<string, FlagTable>>;

/** A cut instruction as a typed node. Throws invalid-argument with BuildKit's texts. */
export function parseInstruction(node: RawNode): Instruction {
  const name = instructionNames.find((one) => one === node.keyword.toUpperCase());
  const { keyword, comments, range } = node;
  const base: InstructionBase = { keyword, source: node.source.trim(), range, comments };
  switch (name) {
    case undefined:
      throw invalid(withHint(`unknown instruction: ${node.keyword}`, node.keyword, instructionNames, false));
    case "FROM":
      return parseFrom(node, base);
    case "ARG":
      // BuildKit looks at no flags here.
      return { ...base, kind: name, args: atLeastOne(name, node.args).map(argument) };
    case "ENV":
    case "LABEL":
      noFlags(node);
      return { ...base, kind: name, pairs: keyValues(name, node.args) };
    case "RUN":
      return parseRun(node, base);
    case "CMD":
    case "ENTRYPOINT":
      noFlags(node);
      return { ...base, kind: name, command: commandLine(node) };
    case "COPY":
    case "ADD":
      return parseCopy(name, node, base);
    case "HEALTHCHECK":
      return { ...base, kind: name, health: parseHealth(node) };
    case "ONBUILD":
      return parseOnbuild(node, base);
    case "STOPSIGNAL":
      return { ...base, kind: name, value: exactlyOne(name, node) };
    case "MAINTAINER":
    case "USER":
    case "WORKDIR": {
      const value = exactlyOne(name, node);
      noFlags(node);
      return { ...base, kind: name, value };
    }
    case "EXPOSE": {
      const values = atLeastOne(name, node.args).toSorted();
      noFlags(node);
      return { ...base, kind: name, values };
    }
    case "VOLUME":
      return { ...base, kind: name, values: volumes(node) };
    case "SHELL":
      noFlags(node);
      atLeastOne(name, node.args);
      if (!node.json) throw invalid(`${name} requires the arguments to be in JSON form`);
      return { ...base, kind: name, values: node.args };
  }
}

function noFlags(node: RawNode): void {
  new FlagValues(node.flags, {});
}

function atLeastOne(name: string, args: readonly string[]): readonly string[] {
  if (args.length === 0) throw invalid(`${name} requires at least one argument`);
  return args;
}

function exactlyOne(name: string, node: RawNode): string {
  const [value] = node.args;
  if (value === undefined) throw invalid(`${name} requires exactly one argument`);
  return value;
}

function parseFrom(node: RawNode, base: InstructionBase): FromInstruction {
  const [image, as, name] = node.args;
  const named = node.args.length === 3 && as?.toLowerCase() === "as";
  const stage = named ? name?.toLowerCase() : undefined;
  if (stage !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(stage)) {
    throw invalid(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    );
  }
  if (image === undefined || (!named && node.args.length !== 1))
    throw invalid("FROM requires either one or three arguments");
  const flags = new FlagValues(node.flags, flagTables.FROM);
  return {
    ...base,
    kind: "FROM",
    base: image,
    stage,
    writtenStage: name,
    writtenAs: as,
    platform: flags.text("platform"),
  };
}

function argument(word: string): { readonly name: string; readonly value: string | undefined } {
  const at = word.indexOf("=");
  if (at === 0) throw invalid("ARG names can not be blank");
  return at < 0 ? { name: word, value: undefined } : { name: word.slice(0, at), value: word.slice(at + 1) };
}

function keyValues(name: string, args: readonly string[]): readonly KeyValue[] {
  atLeastOne(name, args);
  const pairs: KeyValue[] = [];
  for (let i = 0; i < args.length; i += 3) {
    const [key = "", value = "", delimiter] = args.slice(i, i + 3);
    if (key === "") throw invalid(`${name} names can not be blank`);
    pairs.push({ key, value, legacy: delimiter === "" });
  }
  return pairs;
}

function commandLine(node: RawNode): CommandLine {
  return { args: node.args, shell: !node.json, heredocs: node.heredocs };
}

function parseRun(node: RawNode, base: InstructionBase): RunInstruction {
  const flags = new FlagValues(node.flags, flagTables.RUN);
  const mounts = flags.list("mount");
  const devices = flags.list("device").map(parseDevice);
  for (const mount of mounts) mountFrom(mount);
  const network = flags.text("network") || "default";
  if (network !== "default" && network !== "none" && network !== "host")
    throw invalid(
      withHint(`invalid network mode ${JSON.stringify(network)}`, network, ["default", "none", "host"], true),
    );
  const security = flags.text("security") || "sandbox";
  if (security !== "sandbox" && security !== "insecure")
    throw invalid(
      withHint(`security ${JSON.stringify(security)} is not valid`, security, ["sandbox", "insecure"], true),
    );
  return { ...base, kind: "RUN", command: commandLine(node), mounts, network, security, devices };
}

function parseCopy(kind: "COPY" | "ADD", node: RawNode, base: InstructionBase): CopyInstruction {
  const dest = node.args.at(-1);
  if (dest === undefined || node.args.length < 2) {
    throw invalid(
      `${kind} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const flags = new FlagValues(node.flags, flagTables[kind]);
  if (!node.json && readHeredocMark(dest)) throw invalid(`${kind} cannot accept a heredoc as a destination`);
  const sources: string[] = [];
  const documents: CopyInstruction["documents"][number][] = [];
  for (const word of node.args.slice(0, -1)) {
    const mark = node.json ? undefined : readHeredocMark(word);
    if (!mark) sources.push(word);
    else {
      const found = node.heredocs.findLast((heredoc) => heredoc.name === mark.name);
      documents.push({ ...mark, content: heredocText({ ...mark, content: found?.content ?? "" }) });
    }
  }
  return {
    ...base,
    kind,
    sources,
    documents,
    dest,
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    link: flags.bool("link") ?? false,
    exclude: flags.list("exclude"),
    from: flags.text("from"),
    parents: flags.bool("parents") ?? false,
    keepGitDir: flags.bool("keep-git-dir"),
    unpack: flags.bool("unpack"),
    checksum: flags.text("checksum"),
  };
}

function parseHealth(node: RawNode): Health {
  const [written, ...command] = atLeastOne("HEALTHCHECK", node.args);
  const type = (written ?? "").toUpperCase();
  const unset = { interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  if (type === "NONE") {
    if (command.length > 0) throw invalid("HEALTHCHECK NONE takes no arguments");
    return { test: ["NONE"], ...unset };
  }
  const flags = new FlagValues(node.flags, flagTables.HEALTHCHECK);
  if (type !== "CMD") throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  if (command.length === 0) throw invalid("Missing command after HEALTHCHECK CMD");
  return {
    test: [node.json ? "CMD" : "CMD-SHELL", ...command],
    interval: interval(flags, "interval"),
    timeout: interval(flags, "timeout"),
    startPeriod: interval(flags, "start-period"),
    startInterval: interval(flags, "start-interval"),
    retries: retries(flags.text("retries")),
  };
}

const millisecond = 1_000_000;

function interval(flags: FlagValues, name: string): number {
  const text = flags.text(name);
  if (text === "") return 0;
  const duration = parseDuration(text);
  if (duration === undefined) throw invalid(`time: invalid duration ${JSON.stringify(text)}`);
  const nanoseconds = Number(duration);
  if (nanoseconds !== 0 && nanoseconds < millisecond)
    throw invalid(`Interval "${name}" cannot be less than 1ms`);
  return nanoseconds;
}

function retries(text: string): number {
  if (text === "") return 0;
  const value = /^[+-]?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Math.abs(value) > 0x7fff_ffff)
    throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  if (value < 0) throw invalid(`--retries cannot be negative (${value})`);
  return value;
}

function parseOnbuild(node: RawNode, base: InstructionBase): OnbuildInstruction {
  const [instruction = ""] = atLeastOne("ONBUILD", node.args);
  noFlags(node);
  const name = instruction.toUpperCase();
  if (name === "ONBUILD") throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (name === "FROM" || name === "MAINTAINER") throw invalid(`${name} isn't allowed as an ONBUILD trigger`);
  const line = node.source.replace(/^\s*ONBUILD\s*/i, "");
  const documents = node.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return { ...base, kind: "ONBUILD", trigger: line + documents.join("") };
}

function volumes(node: RawNode): readonly string[] {
  atLeastOne("VOLUME", node.args);
  noFlags(node);
  return node.args.map((path) => {
    if (path.trim() === "") throw invalid("VOLUME specified can not be an empty string");
    return path.trim();
  });
}
