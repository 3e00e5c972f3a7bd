import { bool, custom, type Flag, integer, list, strings, text } from "../flags/flag.ts";
import { parseMemory, parseUlimit, type Ulimit } from "../run/values/limits.ts";

const bytes = (short: string, help: string, unlimited = false): Flag<number> =>
  custom("bytes", short, help, 0, (value) => parseMemory(value, unlimited));

/** The flags of `build`: `docker build`'s and `docker buildx build`'s. Values are taken apart in request.ts, whose complaints are the build's. */
export const buildFlags = {
  "add-host": list("", "Add a host to /etc/hosts of RUN steps (host:ip)"),
  allow: list("", "Allow what needs leave: network.host, security.insecure"),
  annotation: list("", "Annotation of the image ([manifest:|index:]key=value)"),
  attest: list("", "Attestation to attach (type=provenance|sbom,...)"),
  "build-arg": list("", "Value of an ARG (name=value, or name to take it from the environment)"),
  "build-context": list("", "One more context (name=path, URL or docker-image://reference)"),
  builder: text("", "Builder to use: there is one, the daemon's"),
  "cache-from": list("", "Cache to read (reference, or type=registry|local,...)", undefined, {
    kind: "strings",
  }),
  "cache-to": list("", "Cache to write (reference, or type=registry|local|inline,...)"),
  call: text("", "What to do: build, check, outline or targets (,format=json)", { initial: "build" }),
  "cgroup-parent": text("", "Parent of the cgroups of RUN steps"),
  check: bool("", "Check the Dockerfile and build nothing: --call=check"),
  compress: bool("", "Taken and ignored: only what changed is sent"),
  "cpu-period": integer("", "CFS period of RUN steps in microseconds"),
  "cpu-quota": integer("", "CFS quota of RUN steps in microseconds"),
  "cpu-shares": integer("c", "CPU shares of RUN steps"),
  "cpuset-cpus": text("", "CPUs that RUN steps may use (0-3, 0,1)"),
  "cpuset-mems": text("", "Memory nodes that RUN steps may use (0-3, 0,1)"),
  "disable-content-trust": bool("", "Skip the check of image signatures", { initial: true }),
  file: text("f", "The Dockerfile (PATH/Dockerfile); - is standard input"),
  "force-rm": bool("", "Taken and ignored: nothing is left to remove"),
  iidfile: text("", "Write the image's id to a file"),
  isolation: text("", "Isolation technology (Windows only)"),
  label: list("", "Label of the image"),
  load: bool("", "Put the image into the daemon's store: --output=type=docker"),
  memory: bytes("m", "Limit of memory of RUN steps"),
  "memory-swap": bytes("", "Limit of memory and swap together; '-1' for unlimited swap", true),
  "metadata-file": text("", "Write what the build tells of its result to a file"),
  network: text("", "Network of RUN steps: default, host or none", { initial: "default", shown: "default" }),
  "no-cache": bool("", "Take nothing from the cache"),
  "no-cache-filter": strings("", "Stages that take nothing from the cache"),
  output: list(
    "o",
    "Where the result goes (path, -, or type=local|tar|oci|docker|image|registry|cacheonly,...)",
  ),
  platform: list("", "Platforms to build for (os/arch[/variant])", undefined, { kind: "string" }),
  progress: text("", "How to show progress: auto, plain, tty, quiet, rawjson or none", { initial: "auto" }),
  provenance: text("", "Attach a provenance attestation (true, mode=min|max): --attest=type=provenance"),
  pull: bool("", "Ask registries for base images even if they are here"),
  push: bool("", "Push the image to its registry: --output=type=registry"),
  quiet: bool("q", "Print the image's id only"),
  rm: bool("", "Taken and ignored: nothing is left to remove", { initial: true }),
  sbom: text("", "Attach a bill of materials (true, generator=image): --attest=type=sbom"),
  secret: list("", "Secret for RUN steps (id=name[,src=path|env=variable])"),
  "security-opt": strings("", "Taken and ignored: see RUN --security"),
  "shm-size": bytes("", "Size of /dev/shm of RUN steps"),
  squash: bool("", "Make one layer of all that is built; the base's stay"),
  ssh: list("", "SSH agent or keys for RUN steps (default|id[=socket|key[,key]])"),
  tag: list("t", "Name of the image ([registry/]repository[:tag])"),
  target: text("", "Stage to build"),
  ulimit: custom<readonly Ulimit[]>(
    "ulimit",
    "",
    "Limit of RUN steps (name=soft[:hard])",
    [],
    (value, current) => [...current, parseUlimit(value)],
    { shown: "[]" },
  ),
};

/** The values of `buildFlags` as parsed. */
export type BuildValues = import("../flags/flag.ts").Values<typeof buildFlags>;
