import { shortId } from "../../base/lib/ids.ts";
import type { StatsRow } from "../stats/compute.ts";
import type { ListSpec } from "./list.ts";
import { binarySize, humanSize } from "./units.ts";

export function statsSpec(whole: boolean): ListSpec<StatsRow> {
  const known = (row: StatsRow, text: string, empty = "--") => (row.known ? text : empty);
  const percent = (value: number) => `${value.toFixed(2)}%`;
  const pair = (a: string, b: string) => `${a} / ${b}`;
  return {
    typeName: "*container.statsContext",
    quiet: "ID",
    columns: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
    fields: {
      Container: { header: "CONTAINER", value: (row) => row.container },
      ID: { header: "CONTAINER ID", value: (row) => (whole ? row.id : shortId(row.id)) || "--" },
      Name: { header: "NAME", value: (row) => row.name || "--" },
      CPUPerc: { header: "CPU %", value: (row) => known(row, percent(row.cpuPercent)) },
      MemUsage: {
        header: "MEM USAGE / LIMIT",
        value: (row) => known(row, pair(binarySize(row.memory), binarySize(row.memoryLimit)), "-- / --"),
      },
      MemPerc: { header: "MEM %", value: (row) => known(row, percent(row.memoryPercent)) },
      NetIO: {
        header: "NET I/O",
        value: (row) => known(row, pair(humanSize(row.received, 3), humanSize(row.sent, 3))),
      },
      BlockIO: {
        header: "BLOCK I/O",
        value: (row) => known(row, pair(humanSize(row.read, 3), humanSize(row.written, 3))),
      },
      PIDs: { header: "PIDS", value: (row) => known(row, String(row.pids)) },
    },
  };
}
