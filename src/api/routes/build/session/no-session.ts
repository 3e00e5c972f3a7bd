import { notFound } from "../../../../base/lib/errors.ts";
import type { BuildSession } from "../../../../base/spec/builder/session.ts";

/** What a build gets whose client opened no session: nothing is lent. */
export function noSession(signal: AbortSignal): BuildSession {
  return {
    id: "",
    sharedKey: "",
    signal,
    files: undefined,
    secret: async () => undefined,
    hasSsh: async () => false,
    ssh: async (id) => {
      throw notFound(`no SSH agent ${JSON.stringify(id)} is forwarded`);
    },
    credentials: async () => undefined,
    exports: undefined,
  };
}
