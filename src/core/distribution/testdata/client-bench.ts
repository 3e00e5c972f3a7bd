import { readdirSync } from "node:fs";
import { join } from "node:path";
import { codeOf, messageOf } from "../../../base/lib/errors.ts";
import { temporaryContent } from "../../content/testdata/temporary.ts";
import { HttpRegistryClient } from "../client.ts";
import type { RegistryConfig } from "../registry-config.ts";
import { FakeRegistry, instantClock, testConfig } from "./fake-registry.ts";

/** A client with a content store and a clock of its own, and a registry for it. */
export function setUp(change: Partial<RegistryConfig> = {}) {
  const content = temporaryContent();
  const clock = instantClock();
  const registry = new FakeRegistry();
  const client = new HttpRegistryClient({ content: content.store, clock, config: testConfig(change) });
  return {
    content: content.store,
    root: content.root,
    clock,
    registry,
    client,
    partials: () => readdirSync(join(content.root, "ingest")),
    async [Symbol.asyncDispose]() {
      registry[Symbol.dispose]();
      await content[Symbol.asyncDispose]();
    },
  };
}

/** What an error tells, of work that must fail. */
export async function failed(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await work;
  } catch (error) {
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error("it did not fail");
}
