import { messageOf } from "../../base/lib/errors.ts";
import { serve } from "./serve.ts";

/** `tug registry …`: returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await serve(args.slice(1));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  }
}
