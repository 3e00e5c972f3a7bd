import { DockerfileError, located } from "./error.ts";
import { parseInstruction } from "./instructions.ts";
import { type RawNode, readNodes } from "./nodes.ts";
import type { ArgInstruction, Dockerfile, Instruction, Stage, StageInstruction } from "./syntax.ts";

/**
 * A Dockerfile's text as a tree (Dockerfile reference; BuildKit's messages). Throws `DockerfileError`, whose ranges are the
 * lines to blame. Takes time in proportion to the text.
 */
export function parseDockerfile(text: string): Dockerfile {
  if (text === "") throw new DockerfileError("the Dockerfile cannot be empty", []);
  const file = readNodes(text);
  const globalArgs: ArgInstruction[] = [];
  const stages: (Stage & { instructions: StageInstruction[] })[] = [];
  const { nodes, ...rest } = file;
  const read: Dockerfile = { ...rest, globalArgs, stages };
  try {
    for (const node of nodes) {
      const instruction = understand(node);
      const stage = stages.at(-1);
      if (instruction.kind === "FROM") stages.push({ from: instruction, instructions: [] });
      else if (stage) stage.instructions.push(instruction);
      else if (instruction.kind === "ARG") globalArgs.push(instruction);
      else throw new DockerfileError("no build stage in current context", [node.range]);
    }
  } catch (error) {
    if (error instanceof DockerfileError) error.before = read;
    throw error;
  }
  if (stages.length === 0) throw new DockerfileError("dockerfile contains no stages to build", []);
  return read;
}

function understand(node: RawNode): Instruction {
  return located(
    node.range,
    () => parseInstruction(node),
    (text) => `dockerfile parse error on line ${node.range.start.line}: ${text}`,
  );
}

/** A trigger that an image's configuration keeps; `at` is the FROM that brings it in. */
export function parseTrigger(trigger: string, at: Stage["from"]): StageInstruction {
  const { nodes } = located(at.range, () => readNodes(trigger));
  const [node] = nodes;
  if (!node || nodes.length !== 1)
    throw new DockerfileError("onbuild trigger should be a single expression", [at.range]);
  const instruction = located(at.range, () => parseInstruction({ ...node, range: at.range }));
  if (instruction.kind === "FROM")
    throw new DockerfileError("FROM isn't allowed as an ONBUILD trigger", [at.range]);
  return instruction;
}
