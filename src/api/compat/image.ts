import type { ImageInspect, ImageSummary } from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** A line of GET /images/json for the client's version. */
export function imageSummaryReply(version: ApiVersion, image: ImageSummary): unknown {
  const reply: Record<string, unknown> = { ...image };
  const untagged = !image.RepoTags?.length && !image.RepoDigests?.length;
  reply["RepoTags"] = version < 43 && untagged ? ["<none>:<none>"] : (image.RepoTags ?? []);
  reply["RepoDigests"] = version < 43 && untagged ? ["<none>@<none>"] : (image.RepoDigests ?? []);
  if (version < 44) reply["VirtualSize"] = image.Size;
  if (version < 47) delete reply["Manifests"];
  if (version < 48) delete reply["Descriptor"];
  if (version < 51) reply["Containers"] = -1;
  return reply;
}

/** Fields of Config that were always there: up to 1.51, and some more up to 1.49. */
const configUntil51 = {
  Cmd: null,
  Entrypoint: null,
  Env: null,
  Labels: null,
  OnBuild: null,
  User: "",
  Volumes: null,
  WorkingDir: "",
};
const configUntil49 = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
};

/** GET /images/{name}/json for the client's version. */
export function imageInspectReply(version: ApiVersion, image: ImageInspect): unknown {
  const reply: Record<string, unknown> = { ...image };
  reply["RepoTags"] = image.RepoTags ?? [];
  reply["RepoDigests"] = image.RepoDigests ?? [];
  if (version < 44) {
    reply["VirtualSize"] = image.Size;
    reply["Created"] = image.Created || "0001-01-01T00:00:00Z";
  }
  if (version < 48) {
    delete reply["Descriptor"];
    delete reply["Manifests"];
  }
  if (version < 53) delete reply["Identity"];
  if (version >= 52) return reply;
  const config = { ...(version < 50 ? configUntil49 : {}), ...configUntil51, ...image.Config };
  reply["Config"] = config;
  if (version < 45) {
    reply["Container"] = "";
    reply["ContainerConfig"] = config;
  }
  for (const name of ["Parent", "Comment", "DockerVersion", "Author"]) reply[name] ??= "";
  return reply;
}
