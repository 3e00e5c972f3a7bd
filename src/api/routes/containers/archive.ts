import { invalid } from "../../../base/lib/errors.ts";
import type { PathStat } from "../../../base/spec/docker/path-stat.ts";
import { type Call, param } from "../../call.ts";
import { get, head, put, type Route } from "../../route.ts";
import { streamBody } from "../../stream-body.ts";
import type { ContainerFilesBackend } from "./backend.ts";

const pattern = "/containers/{id...}/archive";

/** HEAD, GET and PUT /containers/{id}/archive: what `docker cp` is made of. */
export function archiveRoutes(backend: ContainerFilesBackend): readonly Route[] {
  return [
    head(pattern, async (call) => {
      const stat = await backend.statPath(param(call, "id"), path(call));
      call.exchange.send(200, { ...call.headers, ...statHeader(stat) });
    }),
    get(pattern, async (call) => {
      const { stat, tar } = await backend.getArchive(param(call, "id"), path(call), call.exchange.signal);
      await streamBody(call, { "Content-Type": "application/x-tar", ...statHeader(stat) }, tar);
    }),
    put(pattern, async (call) => {
      await backend.putArchive(param(call, "id"), path(call), call.exchange.body.stream(), {
        noOverwriteDirNonDir: call.query.bool("noOverwriteDirNonDir"),
        copyUIDGID: call.query.bool("copyUIDGID"),
      });
      call.exchange.send(200, call.headers);
    }),
  ];
}

function path({ query }: Call): string {
  const text = query.text("path");
  // The missing space is dockerd's.
  if (text === "") throw invalid("bad parameter: pathcannot be empty");
  return text;
}

function statHeader(stat: PathStat): Record<string, string> {
  return { "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64") };
}
