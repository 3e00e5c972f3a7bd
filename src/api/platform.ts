import { invalid } from "../base/lib/errors.ts";
import { isRecord } from "./decode/shape.ts";

/**
 * A `platform` parameter that is a JSON object ({"os":"linux","architecture":"arm","variant":"v7"}), as "linux/arm/v7". Most
 * image routes take this form; create and pull take the text itself.
 */
export function platformParameter(text: string): string | undefined {
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid("failed to parse platform", error);
  }
  if (!isRecord(value)) throw invalid("failed to parse platform");
  const parts = ["os", "architecture", "variant"].map((name) => value[name] ?? "");
  const [os, architecture, variant] = parts;
  if (typeof os !== "string" || typeof architecture !== "string" || typeof variant !== "string") {
    throw invalid("failed to parse platform");
  }
  if (os === "" || architecture === "") throw invalid("both OS and Architecture must be provided");
  return [os, architecture, variant].filter((part) => part !== "").join("/");
}

/** Several of them, as save and load take since 1.52. */
export function platformParameters(version: number, texts: readonly string[]): readonly string[] {
  if (version < 48) return [];
  if (version < 52 && texts.length > 1) {
    throw invalid(
      "multiple platform parameters are not supported in this API version; use API version 1.52 or later",
    );
  }
  return texts.flatMap((text) => platformParameter(text) ?? []);
}
