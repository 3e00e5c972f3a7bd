import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { Client } from "../../../client/client.ts";
import { attachContainer } from "../../../client/containers/attach.ts";
import type { CreateSpec } from "../../../client/containers/create.ts";
import { resizeContainer } from "../../../client/containers/resize.ts";
import { startContainer } from "../../../client/containers/start.ts";
import { waitContainer } from "../../../client/containers/wait.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { refuseUnverified } from "../../config/trust.ts";
import type { Context } from "../../context.ts";
import type { Values } from "../../flags/flag.ts";
import { checkPull, createWithImage } from "../../run/create.ts";
import { framing } from "../../run/failure.ts";
import { refuseWindowsFlags, runFlags } from "../../run/flags.ts";
import { proxyVariables } from "../../run/proxies.ts";
import { forwardSignals } from "../../run/signals.ts";
import { containerSpec } from "../../run/spec.ts";
import { startFailure } from "../../run/start-failure.ts";
import { joinStreams } from "../../run/streams.ts";
import { checkTerminal } from "../../run/terminal.ts";
import { consoleSize } from "../../run/terminal-size.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: atLeast(1),
  flags: runFlags,
  interspersed: false,
  async run(context, { values, changed, name, args: [image = "", ...rest] }) {
    const client = await context.client();
    const config = await context.config();
    const proxies = proxyVariables(config.data, client.address.text);
    refuseWindowsFlags(changed);
    refuseUnverified(context.env, values["disable-content-trust"], changed.has("disable-content-trust"));
    const spec = await framing(name, () => {
      checkPull(values.pull);
      return containerSpec({ values, changed, image, command: rest, env: context.env, proxies });
    });
    if (values.detach && values.attach.length > 0) {
      throw invalid("conflicting options: cannot specify both --attach and --detach");
    }
    if (!values.detach)
      checkTerminal(context, values.interactive || values.attach.includes("stdin"), values.tty);
    const job: Job = {
      context,
      client,
      values,
      spec,
      image,
      detachKeys: values["detach-keys"] || config.data.detachKeys,
    };
    return await framing(name, () => (values.detach ? runDetached(job) : runAttached(job)));
  },
});

interface Job {
  readonly context: Context;
  readonly client: Client;
  readonly values: Values<typeof runFlags>;
  readonly spec: (client: Client) => CreateSpec;
  readonly image: string;
  readonly detachKeys: string | undefined;
}

const create = (job: Job, spec: (client: Client) => CreateSpec) =>
  createWithImage(job.context, job.client, spec, {
    image: job.image,
    name: job.values.name,
    platform: job.values.platform || (job.context.env["DOCKER_DEFAULT_PLATFORM"] ?? ""),
    pull: job.values.pull,
    quiet: job.values.quiet,
    cidfile: job.values.cidfile,
    apiSocket: job.values["use-api-socket"],
  });

async function runDetached(job: Job): Promise<number> {
  const id = await create(job, (client) => ({
    ...job.spec(client),
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    StdinOnce: false,
  }));
  try {
    await start(job.client, id);
  } finally {
    await job.context.out.write(`${id}\n`); // also when it cannot start: it is there, and a script can remove it
  }
  return 0;
}

async function start(client: Client, id: string): Promise<void> {
  try {
    await startContainer(client, id);
  } catch (error) {
    throw startFailure(error);
  }
}

async function runAttached(job: Job): Promise<number> {
  const { context, client, values } = job;
  const attached = values.attach.length === 0 ? ["stdout", "stderr"] : values.attach;
  const stdin = values.interactive || attached.includes("stdin");
  const size = values.tty ? consoleSize(context.out) : undefined;
  client.warm(3); // create and start, attach, wait
  const id = await create(job, (api) => {
    const spec = job.spec(api);
    return size === undefined ? spec : { ...spec, HostConfig: { ...spec.HostConfig, ConsoleSize: size } };
  });
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined); // nobody may be waiting when the start fails
  using _signals = values["sig-proxy"] ? forwardSignals(client, id, ready.promise) : undefined;
  const streams = {
    stdin,
    stdout: attached.includes("stdout"),
    stderr: attached.includes("stderr") && !values.tty,
  };
  // Both stand before the start, so that neither output nor exit can be missed.
  const [{ stream }, { result }] = await Promise.all([
    attachContainer(client, id, {
      ...streams,
      stderr: attached.includes("stderr"),
      detachKeys: job.detachKeys,
    }),
    waitContainer(client, id, values.rm ? "removed" : "next-exit"),
  ]);
  try {
    await start(client, id);
    ready.resolve();
  } catch (error) {
    ready.reject(error);
    stream.close();
    if (values.rm) await result.catch(() => undefined); // the daemon removes it; the failure is told either way
    throw error;
  }
  const end = await joinStreams(context, stream, {
    ...streams,
    tty: values.tty,
    detachKeys: job.detachKeys,
    resize: (size) => resizeContainer(client, id, size),
  });
  if (end === "detached") return 0;
  const { StatusCode, Error: failure } = await result;
  if (failure?.Message) throw new TugError("internal", failure.Message, { detail: { exitCode: 125 } });
  return StatusCode;
}
