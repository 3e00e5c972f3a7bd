import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import type { Trial } from "../../core/distribution/distribution.ts";

/** What came of one endpoint, as a line for people and as an object for programs. */
export function explained(trial: Trial): readonly ProgressMessage[] {
  const { asked, endpoint, repository, source, outcome, detail, milliseconds } = trial;
  const took = outcome === "skipped" ? "" : ` after ${milliseconds} ms`;
  const why = detail === "" ? "" : `: ${detail}`;
  return [
    { status: `${asked}: ${endpoint} ${repository} (${source}) ${outcome}${took}${why}` },
    { aux: { Trial: trial } },
  ];
}
