import { invalid } from "../../../base/lib/errors.ts";
import { parseSignal } from "../../../base/lib/kill-signal.ts";
import { healthcheckOf } from "../../../base/spec/docker/config-changes.ts";
import { located } from "../../../base/spec/dockerfile/error.ts";
import { cleanPath } from "../../../base/spec/dockerfile/ignore.ts";
import { parseExposed } from "../../../base/spec/dockerfile/ports.ts";
import { rules } from "../../../base/spec/dockerfile/rules.ts";
import type {
  ArgInstruction,
  CommandInstruction,
  EnvInstruction,
  HealthcheckInstruction,
  ListInstruction,
  StageInstruction,
  TextInstruction,
} from "../../../base/spec/dockerfile/syntax.ts";
import type { Vertex } from "../../graph.ts";
import { given, setLast } from "../arguments.ts";
import type { PlatformPlan } from "../platform-plan.ts";
import type { Stage } from "../stage.ts";
import { Inputs } from "../vertices.ts";
import { dispatchCopy } from "./copy.ts";
import { goDuration, plainList, quotedList } from "./go-text.ts";
import { ownerOf } from "./owner.ts";
import { dispatchRun } from "./run.ts";
import { Step, scanArgs, withShell } from "./step.ts";

/** A stage's instructions, one after the other, on what it begins from. */
export function dispatchStage(plan: PlatformPlan, stage: Stage, mainContext: () => Vertex | undefined): void {
  stage.inherit();
  stage.dispatched = true;
  // Each stage has copies of its own.
  plan.budget.spend(64 * (stage.image.size + stage.env.size + stage.args.length + stage.layers.length));
  stage.platform ??= plan.target;
  for (const entry of stage.image.env.values()) {
    const at = entry.indexOf("=");
    setLast(stage.env, at < 0 ? entry : entry.slice(0, at), at < 0 ? "" : entry.slice(at + 1));
  }
  const { WorkingDir } = stage.image.run;
  if (WorkingDir) setWorkdir(stage, WorkingDir);
  for (const command of stage.commands) {
    located(command.instruction.range, () =>
      carryOut(new Step(plan, stage, command, mainContext), command.instruction),
    );
  }
}

function carryOut(at: Step, node: StageInstruction): void {
  switch (node.kind) {
    case "ARG":
      dispatchArg(at, node);
      return;
    case "ENV":
      dispatchEnv(at, node);
      return;
    case "LABEL":
      dispatchLabel(at, node);
      return;
    case "RUN":
      dispatchRun(at, node);
      return;
    case "COPY":
    case "ADD":
      dispatchCopy(at, node);
      return;
    case "CMD":
    case "ENTRYPOINT":
      dispatchCommand(at, node);
      return;
    case "HEALTHCHECK":
      dispatchHealthcheck(at, node);
      return;
    case "ONBUILD":
      at.stage.image.run.OnBuild = [...(at.stage.image.run.OnBuild ?? []), node.trigger];
      return;
    case "EXPOSE":
    case "SHELL":
    case "VOLUME":
      dispatchList(at, node);
      return;
    case "MAINTAINER":
    case "STOPSIGNAL":
    case "USER":
    case "WORKDIR":
      dispatchText(at, node);
      return;
  }
}

function dispatchArg(at: Step, node: ArgInstruction): void {
  const { stage, plan } = at;
  const shown: string[] = [];
  for (const arg of node.args) {
    lintSecret(at, "ARG", arg.name);
    const asked = given(plan.input.request.buildArgs, arg.name);
    const inherited = asked === undefined && arg.value === undefined ? plan.globals.get(arg.name) : undefined;
    const value = asked ?? inherited ?? (arg.value === undefined ? undefined : at.expand(arg.value));
    if (value !== undefined && !scanArgs.has(arg.name)) setLast(stage.env, arg.name, value);
    if (inherited === undefined)
      stage.argumentInfos.set(arg.name, {
        name: arg.name,
        value: value ?? "",
        from: node,
        uses: new Set(),
      });
    stage.usedArgs.add(arg.name);
    stage.args.push({ name: arg.name, value });
    stage.declared.add(arg.name);
    shown.push(value === undefined ? arg.name : `${arg.name}=${value}`);
  }
  stage.image.commit(`ARG ${shown.join(" ")}`, false);
}

function pairsOf(at: Step, node: EnvInstruction): readonly (readonly [string, string])[] {
  return node.pairs.map((pair) => {
    const entry = [at.expand(pair.key), at.expand(pair.value)] as const;
    if (pair.legacy) {
      const text = `"${node.keyword} key=value" should be used instead of legacy "${node.keyword} key value" format`;
      at.plan.lint.warn(rules.legacyKeyValueFormat, text, node);
    }
    return entry;
  });
}

function dispatchEnv(at: Step, node: EnvInstruction): void {
  const pairs = pairsOf(at, node);
  for (const [name, value] of pairs) {
    lintSecret(at, "ENV", name);
    setLast(at.stage.env, name, value);
    at.stage.image.setEnv(name, value);
  }
  at.stage.image.commit(`ENV ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`, false);
}

function dispatchLabel(at: Step, node: EnvInstruction): void {
  const pairs = pairsOf(at, node);
  for (const [name, value] of pairs) at.stage.image.labels.set(name, value);
  at.stage.image.commit(`LABEL ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`, false);
}

const secretName =
  /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessName = /(?:_|^)(?:public|file|version)(?:_|$)/i;

function lintSecret(at: Step, kind: string, name: string): void {
  if (!secretName.test(name) || harmlessName.test(name)) return;
  const text = `Do not use ARG or ENV instructions for sensitive data (${kind} ${JSON.stringify(name)})`;
  at.plan.lint.warn(rules.secretsUsedInArgOrEnv, text, at.command.instruction);
}

/** Only the last of its kind counts. */
function lintRepeated(at: Step, node: CommandInstruction | HealthcheckInstruction): void {
  const before = at.stage.lastOf.get(node.kind);
  if (before) {
    const text = `Multiple ${node.keyword} instructions should not be used in the same stage because only the last one will be used`;
    at.plan.lint.warn(rules.multipleInstructionsDisallowed, text, {
      range: before.range,
      comments: node.comments,
    });
  }
  at.stage.lastOf.set(node.kind, node);
}

function dispatchCommand(at: Step, node: CommandInstruction): void {
  const { stage } = at;
  lintRepeated(at, node);
  let args = node.command.args;
  if (node.command.shell) {
    if (!stage.image.run.Shell?.length) {
      const text = `JSON arguments recommended for ${node.keyword} to prevent unintended behavior related to OS signals`;
      at.plan.lint.warn(rules.jsonArgsRecommended, text, node);
    }
    args = withShell(stage, args);
  }
  if (node.kind === "CMD") {
    stage.image.run.Cmd = args;
    stage.image.run.ArgsEscaped = true;
  } else {
    stage.image.run.Entrypoint = args.length > 0 ? args : null;
    // A command that was inherited was for another entrypoint.
    if (!stage.lastOf.has("CMD")) stage.image.run.Cmd = null;
  }
  stage.image.commit(`${node.kind} ${quotedList(args)}`, false);
}

function dispatchHealthcheck(at: Step, node: HealthcheckInstruction): void {
  lintRepeated(at, node);
  const { test, interval, timeout, startPeriod, startInterval, retries } = node.health;
  at.stage.image.run.Healthcheck = healthcheckOf(node.health);
  const shown = [
    `Test:${plainList(test)}`,
    `Interval:${goDuration(interval)}`,
    `Timeout:${goDuration(timeout)}`,
    `StartPeriod:${goDuration(startPeriod)}`,
    `StartInterval:${goDuration(startInterval)}`,
    `Retries:${retries}`,
  ];
  at.stage.image.commit(`HEALTHCHECK {${shown.join(" ")}}`, false);
}

function dispatchList(at: Step, node: ListInstruction): void {
  const { image } = at.stage;
  switch (node.kind) {
    case "SHELL":
      image.run.Shell = node.values;
      break;
    case "VOLUME": {
      const volumes = node.values.map((value) => at.expand(value));
      if (volumes.includes("")) throw invalid("VOLUME specified can not be an empty string");
      for (const volume of volumes) image.volumes.add(volume);
      image.commit(`VOLUME ${plainList(volumes)}`, false);
      return;
    }
    case "EXPOSE": {
      const ports = node.values.flatMap((value) => at.words(value)).flatMap((word) => expose(at, word));
      for (const port of ports) image.ports.add(port);
      image.commit(`EXPOSE ${plainList(ports)}`, false);
      return;
    }
  }
  image.commit(`SHELL ${plainList(node.values)}`, false);
}

function expose(at: Step, word: string): readonly string[] {
  const { ports, oddCase, mapped } = parseExposed(word);
  at.plan.budget.spend(64 * ports.length);
  const { lint } = at.plan;
  const { instruction } = at.command;
  if (oddCase) {
    const text = `Defined protocol '${word}' in EXPOSE instruction should be lowercase`;
    lint.warn(rules.exposeProtoCasing, text, instruction);
  }
  if (mapped) {
    const text = `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`;
    lint.warn(rules.exposeInvalidFormat, text, instruction);
  }
  return ports;
}

function dispatchText(at: Step, node: TextInstruction): void {
  const { image } = at.stage;
  if (node.kind === "MAINTAINER") {
    image.author = node.value;
    image.commit(`MAINTAINER ${node.value}`, false);
    return;
  }
  const value = at.expand(node.value);
  switch (node.kind) {
    case "USER":
      image.run.User = value;
      image.commit(`USER ${value}`, false);
      return;
    case "STOPSIGNAL":
      parseSignal(value);
      image.run.StopSignal = value;
      image.commit(`STOPSIGNAL ${value}`, false);
      return;
    case "WORKDIR":
      dispatchWorkdir(at, node, value);
  }
}

/** A relative path continues the one before. What is absolute stays as it was written, as BuildKit keeps it. */
function setWorkdir(stage: Stage, path: string): string {
  const before = stage.image.run.WorkingDir || "/";
  const directory = path === "" ? before : path.startsWith("/") ? path : cleanPath(`/${before}/${path}`);
  stage.image.run.WorkingDir = directory;
  stage.workdir = cleanPath(directory);
  return directory;
}

function dispatchWorkdir(at: Step, node: TextInstruction, value: string): void {
  const { stage, plan } = at;
  if (!stage.workdirSet && !value.startsWith("/")) {
    const text = `Relative workdir ${JSON.stringify(value)} can have unexpected results if the base image changes`;
    plan.lint.warn(rules.workdirRelativePath, text, node);
  }
  stage.workdirSet = true;
  const directory = setWorkdir(stage, value);
  if (directory === "/") {
    stage.image.commit(`WORKDIR ${directory}`, false);
    return;
  }
  const inputs = new Inputs();
  const root = inputs.index(stage.root);
  const owner = ownerOf(stage.image.run.User ?? "");
  const { epoch } = plan;
  const actions = [{ kind: "mkdir", path: stage.workdir, mode: 0o755, owner }] as const;
  const name = at.name(node.source);
  const op = { kind: "file", root, actions, epoch, platform: at.platform } as const;
  at.addLayer(op, inputs, name, `WORKDIR ${directory}`);
}
