import { invalid } from "../../../base/lib/errors.ts";
import { updateContainer } from "../../../client/containers/update.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { custom, integer, list, text, unsigned } from "../../flags/flag.ts";
import { parseCpus, parseMemory, parseRestart } from "../../run/values/limits.ts";
import { parsePorts, shortForm } from "../../run/values/ports.ts";
import { eachOperand } from "../each.ts";

const bytes = (short: string, help: string, unlimited = false) =>
  custom("bytes", short, help, 0, (value) => parseMemory(value, unlimited));

const flags = {
  "blkio-weight": { ...unsigned("", "Weight of its block I/O, 10 to 1000, 0 for none", 16), shown: "0" },
  "cpu-period": integer("", "CFS period in microseconds"),
  "cpu-quota": integer("", "CFS quota in microseconds"),
  "cpu-rt-period": integer("", "Real-time period in microseconds"),
  "cpu-rt-runtime": integer("", "Real-time runtime in microseconds"),
  "cpu-shares": integer("c", "CPU shares, relative to other containers"),
  cpus: custom("decimal", "", "Number of CPUs, with a fraction", 0, (value) => parseCpus(value)),
  "cpuset-cpus": text("", "CPUs it may run on (0-3, 0,1)"),
  "cpuset-mems": text("", "Memory nodes it may use (0-3, 0,1)"),
  "kernel-memory": { ...bytes("", "Limit of kernel memory"), hidden: true },
  memory: bytes("m", "Limit of memory"),
  "memory-reservation": bytes("", "Soft limit of memory"),
  "memory-swap": bytes("", "Limit of memory and swap together; '-1' for unlimited swap", true),
  "pids-limit": integer("", "Limit of processes (-1 for none)"),
  "publish-add": list("", "Publish one more port of the running container (as -p)"),
  "publish-rm": list("", "Publish a port no longer (port[/protocol], or as -p)"),
  restart: text("", "What to do when it exits"),
};

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags,
  async run(context, { values, changed, args }) {
    if (changed.size === 0) throw invalid("you must provide one or more flags when using this command");
    parsePorts(values["publish-add"], []); // refused here, before any container is changed
    const client = await context.client();
    const spec = {
      BlkioWeight: values["blkio-weight"],
      CpuShares: values["cpu-shares"],
      NanoCpus: values.cpus,
      CpuPeriod: values["cpu-period"],
      CpuQuota: values["cpu-quota"],
      CpuRealtimePeriod: values["cpu-rt-period"],
      CpuRealtimeRuntime: values["cpu-rt-runtime"],
      CpusetCpus: values["cpuset-cpus"],
      CpusetMems: values["cpuset-mems"],
      Memory: values.memory,
      MemoryReservation: values["memory-reservation"],
      MemorySwap: values["memory-swap"],
      ...(changed.has("pids-limit") ? { PidsLimit: values["pids-limit"] } : {}),
      RestartPolicy: parseRestart(values.restart),
      ...(values["publish-add"].length > 0 ? { PublishAdd: values["publish-add"].map(shortForm) } : {}),
      ...(values["publish-rm"].length > 0 ? { PublishRm: values["publish-rm"] } : {}),
    };
    return await eachOperand(context, args, async (name) => {
      const { Warnings } = await updateContainer(client, name, spec);
      for (const warning of Warnings ?? []) await context.err.write(`${warning}\n`);
    });
  },
});
