import type { BuilderClient } from "../../../client/build/builder.ts";
import type { SolveEvent, SolveWarning } from "../../../client/build/events.ts";
import type { Context } from "../../context.ts";
import type { BuildOrder } from "../request.ts";
import { paletteOf } from "./colors.ts";
import { buildDisplay } from "./display.ts";
import { failedSteps, warningList } from "./report.ts";
import { BuildTrace } from "./trace.ts";
import { EventTeller } from "./watch.ts";

/** How long the daemon may take to tell the rest of a build that is over. It does so at once, but on a busy machine. */
const restMs = 30_000;
/** The same where somebody has interrupted the build: its steps are to be seen to end. Who interrupts again does not wait. */
const interruptedMs = 5_000;

/** Shows the build while `work` runs, and what is to be said of it in the end. */
export async function shown<T>(
  context: Context,
  builder: BuilderClient,
  { order, ref, signal }: { readonly order: BuildOrder; readonly ref: string; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const { err } = context;
  let skew: bigint | undefined;
  const now = () => BigInt(Date.now()) * 1_000_000n - (skew ?? 0n);
  const display = buildDisplay(order.progress, err, { now, label: "tug", env: context.env });
  const warningColor = err.isTerminal ? paletteOf(context.env).warning : "";
  const teller = new EventTeller(display.trace);
  const warnings: SolveWarning[] = [];
  const stop = new AbortController();
  const show = (event: SolveEvent) => {
    // The daemon's clock counts, whose times are shown.
    const started = event.vertexes.find((vertex) => vertex.started !== undefined)?.started;
    if (started !== undefined) skew ??= BigInt(Date.now()) * 1_000_000n - started;
    teller.tell(event);
    display.settle?.();
    warnings.push(...event.warnings);
  };
  const watching = (async () => {
    for await (const event of builder.status(ref, stop.signal)) show(event);
  })().catch(() => undefined); // the build's own outcome is the news
  try {
    return await work();
  } finally {
    const timer = setTimeout(() => stop.abort(), signal.aborted ? interruptedMs : restMs);
    await watching;
    clearTimeout(timer);
    await display.finish();
    const loud = order.progress !== "quiet" && order.progress !== "none" && order.progress !== "rawjson";
    if (loud) {
      const { trace } = display;
      if (trace instanceof BuildTrace)
        await err.write(failedSteps(trace.vertices, err.isTerminal ? 100 : 10));
      if (!order.call) await err.write(warningList(warnings, context.globals.debug, warningColor));
    }
  }
}
