export type * from "../base/spec/builder/session.ts";
