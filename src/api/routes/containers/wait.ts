import { invalid } from "../../../base/lib/errors.ts";
import { param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

const conditions = ["not-running", "next-exit", "removed"] as const;

/** POST /containers/{id}/wait: the head is sent as soon as the wait is registered, so that a client may start the container. */
export function waitRoute(backend: ContainerLifecycleBackend): Route {
  return post("/containers/{id...}/wait", async (call) => {
    const text = call.version < 30 ? "" : call.query.text("condition");
    const condition = text === "" ? "not-running" : conditions.find((known) => known === text);
    if (!condition) throw invalid(`invalid condition: ${JSON.stringify(text)}`);
    const { done } = await backend.wait(param(call, "id"), condition, call.exchange.signal);
    const headers = { ...call.headers, "Content-Type": "application/json" };
    if (call.version < 30) {
      call.exchange.send(200, headers, `${JSON.stringify(await done)}\n`);
      return;
    }
    const reply = call.exchange.stream(200, headers);
    const outcome = await done;
    // Before 1.34 a failed removal could only be told by an empty reply.
    if (call.version < 34 && condition === "removed" && outcome.Error) return;
    await reply.write(`${JSON.stringify(outcome)}\n`);
  });
}
