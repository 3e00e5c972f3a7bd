/** Set by scripts/build.ts; a run from source says so. */
declare const TUG_VERSION: string | undefined;
declare const TUG_COMMIT: string | undefined;
declare const TUG_BUILT: string | undefined;

export const tugVersion: string = typeof TUG_VERSION === "string" ? TUG_VERSION : "0.0.0-dev";
export const commitId: string = typeof TUG_COMMIT === "string" ? TUG_COMMIT : "source";
export const builtAt: string = typeof TUG_BUILT === "string" ? TUG_BUILT : "";
