import type { ExecOp } from "../graph.ts";

/** A program on its root (input 0), as an instruction runs it where nothing else is said. */
export function execOp(op: Pick<ExecOp, "args" | "platform"> & Partial<ExecOp>): ExecOp {
  return {
    kind: "exec",
    root: 0,
    env: [],
    cwd: "/",
    user: "",
    mounts: [],
    network: "default",
    security: "sandbox",
    hostname: "",
    hosts: [],
    shmSize: 0,
    ulimits: [],
    cgroupParent: "",
    devices: [],
    proxyEnv: [],
    resources: {},
    ...op,
  };
}
