import { TugError } from "../../base/lib/errors.ts";
import { expand, type Variables } from "../../base/spec/dockerfile/words.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform, normalizePlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import type { PlatformPlan } from "./platform-plan.ts";
import type { Stage } from "./stage.ts";

/** What progress calls a step: "[linux/arm64 build 2/5] RUN make". Counts it. */
export function stepName(
  plan: PlatformPlan,
  stage: Stage,
  text: string,
  platform: Platform,
  env: Variables,
  isTrigger = false,
): string {
  if (stage.steps === 0) return text;
  stage.step++;
  const of = plan.multi ? `${formatPlatform(platform)}${crossTarget(platform, env, plan)} ` : "";
  const name = stage.shownName === "" ? "" : `${stage.shownName} `;
  const step = String(stage.step).padStart(String(stage.steps).length);
  return `[${of}${name}${step}/${stage.steps}] ${isTrigger ? "ONBUILD " : ""}${text}`;
}

/** "->arm64" where a step runs on one platform to make something for another. */
function crossTarget(base: Platform, env: Variables, plan: PlatformPlan): string {
  const target = targetOf(base, env, plan.input.host);
  if (!target) return "";
  if (target.os !== base.os) return `->${formatPlatform(target)}`;
  if (target.architecture === base.architecture) return "";
  return `->${target.architecture}${target.variant === undefined ? "" : `/${target.variant}`}`;
}

function targetOf(base: Platform, env: Variables, host: Platform): Platform | undefined {
  const whole = env.get("TARGETPLATFORM");
  if (whole !== undefined) {
    try {
      return parsePlatform(whole, host);
    } catch (error) {
      if (!(error instanceof TugError)) throw error; // any text may be in a variable
    }
  }
  const [os, architecture, variant] = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map((name) =>
    env.get(name),
  );
  if (os === undefined && architecture === undefined && variant === undefined) return undefined;
  return normalizePlatform({
    os: os || base.os,
    architecture: architecture || base.architecture,
    ...(variant && { variant }),
  });
}

/** The instruction in upper case, its variables expanded where that works. */
export function shownCommand(
  plan: PlatformPlan,
  text: string,
  env: Variables,
  options: { readonly keep: boolean },
): string {
  const expanded = expandShown(plan, text, env, options.keep);
  const blank = expanded.indexOf(" ");
  return blank < 0 ? expanded.toUpperCase() : expanded.slice(0, blank).toUpperCase() + expanded.slice(blank);
}

function expandShown(plan: PlatformPlan, text: string, env: Variables, keep: boolean): string {
  const escapeToken = plan.file.escape;
  try {
    return expand(text, env, { escape: escapeToken, rawQuotes: keep, keepUnset: keep }).text;
  } catch (error) {
    if (error instanceof TugError) return text; // shell text need not be the lexer's
    throw error;
  }
}

/** The first line of a heredoc, for a name. */
export function summarize(document: string): string {
  const [first = "", ...others] = document.trim().split(/\r?\n/, 2);
  return others.length > 0 ? `${first}...` : first;
}
