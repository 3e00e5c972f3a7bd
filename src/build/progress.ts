export type * from "../base/spec/builder/progress.ts";
