import { ExecBench } from "./exec-bench.ts";

/** A builder that is killed in the middle of a step: says where once the step runs. */
const bench = await ExecBench.open();
await bench.run("echo up; (trap '' TERM HUP; sleep 1000) & sleep 1000 & wait", {
  mounts: [
    { kind: "tmpfs", target: "/t", size: 0 },
    { kind: "secret", target: "/run/secrets/s", env: undefined, id: "s", required: true, mode: 0o400, uid: 0, gid: 0 },
    { kind: "bind", target: "/b", from: 0, source: "/etc", readonly: false },
  ],
  session: { secret: async () => Buffer.from("a secret's value") },
  log: () => {
    process.stdout.write(`${JSON.stringify({ root: bench.root, parent: bench.layout.parent })}\n`);
  },
});
