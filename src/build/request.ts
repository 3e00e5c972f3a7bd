export type * from "../base/spec/builder/request.ts";
