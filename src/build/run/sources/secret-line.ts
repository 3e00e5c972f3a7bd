import { invalid } from "../../../base/lib/errors.ts";
import type { BuildSession } from "../../session.ts";

/** A secret of the session's that goes into a header; undefined when the client has none of that name. Throws invalid-argument for several lines. */
export async function secretLine(session: BuildSession, name: string): Promise<string | undefined> {
  const secret = await session.secret(name);
  if (!secret) return undefined;
  const text = Buffer.from(secret).toString("utf8").trim();
  if (/[\r\n]/.test(text)) throw invalid(`the secret ${name} has more than one line`);
  return text;
}
