import { invalid, TugError } from "../../../base/lib/errors.ts";
import { heredocText, readHeredocMark } from "../../../base/spec/dockerfile/heredoc.ts";
import { cleanPath } from "../../../base/spec/dockerfile/ignore.ts";
import { parseMount, type RunMount } from "../../../base/spec/dockerfile/mount.ts";
import type { RunInstruction } from "../../../base/spec/dockerfile/syntax.ts";
import type { ExecMount, ExecOp } from "../../graph.ts";
import { proxyEnvironment } from "../arguments.ts";
import { summarize } from "../names.ts";
import { builderArg } from "../platform-plan.ts";
import { Inputs } from "../vertices.ts";
import { inlineDocument } from "./copy.ts";
import { type Step, withShell } from "./step.ts";

export function dispatchRun(at: Step, node: RunInstruction): void {
  const { stage, plan } = at;
  const { request } = plan.input;
  // It may read whatever there is.
  stage.paths.add("/");
  const inputs = new Inputs();
  const root = inputs.index(stage.root);
  const { args, shown, script } = commandOf(at, node);
  const words = node.command.shell ? withShell(stage, args) : args;
  if (words.length === 0) throw invalid("arguments are required");
  const scriptMounts: readonly ExecMount[] = script
    ? [{ kind: "bind", target: "/dev/pipes", from: inputs.index(script), source: "", readonly: true }]
    : [];
  const said = node.mounts.map((mount) => parseMount(mount, (text) => at.expand(text)));
  const mounts = new MountBuilder(at, inputs).build(said);
  const env = environment(stage.env, mounts);
  const op: ExecOp = {
    kind: "exec",
    root,
    args: words,
    env,
    cwd: stage.workdir || "/",
    user: stage.image.run.User ?? "",
    mounts: [...scriptMounts, ...mounts],
    network: node.network === "default" ? request.network : node.network,
    security: node.security,
    hostname: builderArg(plan, "BUILDKIT_SANDBOX_HOSTNAME") ?? request.hostname,
    hosts: request.hosts,
    shmSize: request.shmSize,
    ulimits: request.ulimits,
    cgroupParent: request.cgroupParent,
    devices: node.devices,
    proxyEnv: proxyEnvironment(request.buildArgs),
    resources: request.resources,
    platform: at.platform,
  };
  plan.budget.spend(env.reduce((sum, entry) => sum + entry.length, 0));
  const history = runHistory(at, words);
  plan.budget.spend(history.length);
  at.addLayer(op, inputs, nameOf(at, shown, said), history);
}

/** Values of secrets are masked where a name would show that they are used. */
function nameOf(at: Step, shown: string, mounts: readonly RunMount[]): string {
  const secrets = mounts.flatMap(({ type, env }) => (type === "secret" && env !== undefined ? [env] : []));
  if (secrets.length === 0) return at.name(shown, { keep: true });
  const { stage } = at;
  const env = stage.env;
  stage.env = new Map([...env, ...secrets.map((name) => [name, "****"] as const)]);
  try {
    return at.name(shown, { keep: true });
  } finally {
    stage.env = env;
  }
}

/** What is run: a heredoc alone is the script itself, with a "#!" a file; any other is the shell's to read. */
function commandOf(
  at: Step,
  node: RunInstruction,
): {
  readonly args: readonly string[];
  readonly shown: string;
  readonly script: ReturnType<typeof inlineDocument> | undefined;
} {
  const { args, heredocs, shell } = node.command;
  const [line = ""] = args;
  const [first] = heredocs;
  const plain = { args, shown: node.source, script: undefined };
  if (!first) return plain;
  if (args.length !== 1 || !shell)
    throw invalid(`parsing produced an invalid run command: [${args.join(" ")}]`);
  if (!isMark(line)) {
    const documents = heredocs.map(({ content, name }) => `\n${content}${name}`);
    return { ...plain, args: [line + documents.join("")] };
  }
  const content = heredocText(first);
  const shown = `${node.source} (${summarize(first.content)})`;
  if (!content.startsWith("#!")) return { args: [content], shown, script: undefined };
  const name = cleanPath(`/${first.name}`);
  return { args: [`/dev/pipes${name}`], shown, script: inlineDocument(at, name, content, 0o755) };
}

function isMark(line: string): boolean {
  try {
    return readHeredocMark(line) !== undefined;
  } catch (error) {
    if (error instanceof TugError) return false;
    throw error;
  }
}

/** "RUN |1 A=b /bin/sh -c make # buildkit": arguments that it could read come first. */
function runHistory(at: Step, words: readonly string[]): string {
  const { stage } = at;
  const args = new Map(
    stage.args.map(({ name, value }) => [name, `${name}=${stage.env.get(name) ?? value ?? ""}`]),
  );
  const prefix = args.size > 0 ? [`|${args.size}`, ...args.values()] : [];
  return `RUN ${[...prefix, ...words].join(" ")} # buildkit`;
}

function environment(env: ReadonlyMap<string, string>, mounts: readonly ExecMount[]): readonly string[] {
  const list = [...env].map(([name, value]) => `${name}=${value}`);
  const agent = mounts.find((mount) => mount.kind === "ssh");
  return agent && !env.has("SSH_AUTH_SOCK") ? [...list, `SSH_AUTH_SOCK=${agent.target}`] : list;
}

/** `--mount` of one RUN, with what they read as inputs. */
class MountBuilder {
  readonly #at: Step;
  readonly #inputs: Inputs;
  #agents = 0;
  constructor(at: Step, inputs: Inputs) {
    this.#at = at;
    this.#inputs = inputs;
  }

  build(mounts: readonly RunMount[]): readonly ExecMount[] {
    return mounts.map((mount, index) => this.#mount(mount, index));
  }

  #mount(mount: RunMount, index: number): ExecMount {
    switch (mount.type) {
      case "bind": {
        const { target } = this.#place(mount);
        const from = this.#source(mount, index);
        return { kind: "bind", target, from, source: inner(mount.source), readonly: mount.readonly };
      }
      case "cache":
        return this.#cache(mount, index);
      case "tmpfs":
        return { kind: "tmpfs", target: this.#place(mount).target, size: mount.size };
      case "secret":
        return this.#secret(mount);
      case "ssh":
        return this.#ssh(mount);
    }
  }

  #absolute(path: string): string {
    return cleanPath(path.startsWith("/") ? path : `${this.#at.stage.workdir || "/"}/${path}`);
  }

  #place(mount: RunMount): { readonly target: string } {
    const target = this.#absolute(mount.target);
    if (target === "/") throw invalid(`invalid mount target ${JSON.stringify(target)}`);
    return { target };
  }

  #source(mount: RunMount, index: number): ExecOp["root"] {
    const { command, plan, mainContext } = this.#at;
    if (mount.from === "") {
      plan.paths.add("", [cleanPath(`/${mount.source}`)]);
      return this.#inputs.index(mainContext());
    }
    const stage = command.sources[index];
    if (!stage?.dispatched) {
      throw invalid(
        `cannot mount from stage ${JSON.stringify(mount.from)} to ${JSON.stringify(mount.target)}, stage needs to be defined before current command`,
      );
    }
    stage.paths.add(cleanPath(`/${mount.source}`));
    return this.#inputs.index(stage.root);
  }

  #cache(mount: RunMount, index: number): ExecMount {
    const { target } = this.#place(mount);
    const namespace = builderArg(this.#at.plan, "BUILDKIT_CACHE_MOUNT_NS") ?? "";
    const id = mount.id === "" ? cleanPath(mount.target) : mount.id;
    return {
      kind: "cache",
      target,
      id: namespace === "" ? id : `${namespace}/${id}`,
      sharing: mount.sharing ?? "shared",
      // A cache begins empty unless it is told what with.
      from: mount.from === "" ? undefined : this.#source(mount, index),
      source: inner(mount.source),
      readonly: mount.readonly,
      mode: mount.mode ?? 0o755,
      uid: mount.uid ?? 0,
      gid: mount.gid ?? 0,
    };
  }

  #secret(mount: RunMount): ExecMount {
    const id = mount.source || mount.id || (mount.target.split("/").at(-1) ?? "");
    const { stage, command } = this.#at;
    if (!stage.secrets.has(id))
      stage.secrets.set(id, { range: command.instruction.range, required: mount.required });
    const named = mount.target === "" ? undefined : this.#absolute(mount.target);
    const byDefault = mount.env === undefined ? `/run/secrets/${id.split("/").at(-1) ?? id}` : undefined;
    return {
      kind: "secret",
      target: named ?? byDefault,
      env: mount.env === "" ? id : mount.env,
      id,
      required: mount.required,
      mode: mount.mode ?? 0o400,
      uid: mount.uid ?? 0,
      gid: mount.gid ?? 0,
    };
  }

  #ssh(mount: RunMount): ExecMount {
    if (mount.source !== "") throw invalid("ssh does not support source");
    const { stage, command } = this.#at;
    const id = mount.id || "default";
    if (!stage.agents.has(id))
      stage.agents.set(id, { range: command.instruction.range, required: mount.required });
    const number = this.#agents++;
    const target = mount.target === "" ? `/run/buildkit/ssh_agent.${number}` : this.#absolute(mount.target);
    return {
      kind: "ssh",
      target,
      id,
      required: mount.required,
      mode: mount.mode ?? 0o600,
      uid: mount.uid ?? 0,
      gid: mount.gid ?? 0,
    };
  }
}

/** Relative to the root of what is mounted; "" is the root. */
function inner(path: string): string {
  return cleanPath(`/${path}`).slice(1);
}
