import { invalid, isCode, messageOf } from "../../base/lib/errors.ts";
import { systemText } from "../../base/lib/system-text.ts";
import { readWholeFile } from "../../base/lib/whole-file.ts";

/** More than anybody writes: what is larger was named by mistake. */
const limit = 4 * 1024 * 1024;

/**
 * daemon.json's text, in UTF-8 or what its byte order mark says (as dockerd reads it). It may be a pipe, whose writer is given `patience`
 * milliseconds: the daemon stands still meanwhile.
 */
export function readConfigFile(path: string, patience: number): string {
  const fail = (reason: string) =>
    invalid(`unable to configure the Docker daemon with file ${path}: ${reason}`);
  let text: Uint8Array;
  try {
    text = readWholeFile(path, { limit, patience });
  } catch (error) {
    throw fail(isCode(error, "invalid-argument") ? messageOf(error) : `open ${path}: ${systemText(error)}`);
  }
  const [first, second] = text;
  const encoding =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(text);
  } catch (cause) {
    if (cause instanceof TypeError) throw fail("it is not UTF-8 text: save it in that encoding");
    throw cause;
  }
}
