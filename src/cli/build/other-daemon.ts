import { invalid } from "../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { BuilderClient } from "../../client/build/builder.ts";
import type { Client } from "../../client/client.ts";
import { pushImage } from "../../client/images/push.ts";
import { registryAuth } from "../config/credentials.ts";
import type { Context } from "../context.ts";
import { showProgress, silentOutput } from "../progress/display.ts";
import type { BuildOutput } from "./outputs.ts";
import { booleanOr } from "./pairs.ts";
import type { BuildOrder } from "./request.ts";

type Attrs = Readonly<Record<string, string>>;

const isPushed = ({ type, attrs }: BuildOutput) => type === "moby" && booleanOr(attrs["push"], false);

/** Whether the builder is Tug's. Asked only where it makes a difference: what Docker's leaves to its clients, Tug's does itself. */
export async function isTug(
  builder: BuilderClient,
  { attrs, outputs }: Pick<BuildOrder, "attrs" | "outputs">,
  signal: AbortSignal,
): Promise<boolean> {
  if (!outputs.some(isPushed) && !(attrs["add-hosts"] ?? "").includes("=host-gateway")) return true;
  const version = await builder.version(signal).catch(() => undefined); // builders before 2022 have no such call
  return version?.package === "tug";
}

/** Docker's builder knows no `host-gateway`: its worker tells the address. Pushing is its client's business. */
export async function forDockerd(
  builder: BuilderClient,
  attrs: Attrs,
  outputs: readonly BuildOutput[],
): Promise<{ readonly attrs: Attrs; readonly outputs: readonly BuildOutput[] }> {
  const hosts = attrs["add-hosts"] ?? "";
  const kept = outputs.map((output) => {
    if (!isPushed(output)) return output;
    if (booleanOr(output.attrs["push-by-digest"], false))
      throw invalid("push-by-digest is not implemented by this daemon's builder");
    const { push: _, ...rest } = output.attrs;
    return { ...output, attrs: rest };
  });
  if (!hosts.includes("=host-gateway")) return { attrs, outputs: kept };
  const [worker] = await builder.workers();
  const gateway = worker?.labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"];
  if (!gateway) throw invalid("unable to derive the IP value for host-gateway");
  return {
    attrs: { ...attrs, "add-hosts": hosts.replaceAll("=host-gateway", `=${gateway}`) },
    outputs: kept,
  };
}

/** Pushes what was built through the daemon's image API. */
export async function pushFromHere(
  context: Context,
  client: Client,
  outputs: readonly BuildOutput[],
  quiet: boolean,
): Promise<void> {
  for (const { attrs } of outputs.filter(isPushed)) {
    for (const name of (attrs["name"] ?? "").split(",")) {
      const reference = withDefaultTag(parseReference(name));
      const messages = await pushImage(client, {
        image: familiarName(reference),
        tag: reference.tag ?? "",
        auth: await registryAuth(context, reference.domain),
      });
      await showProgress(messages, quiet ? silentOutput : context.err);
    }
  }
}
