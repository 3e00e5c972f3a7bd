import type { Command } from "../command.ts";

/** One row: where a command lives in the grammar, its line in help pages, and its file, loaded when it is called. */
export interface Entry {
  /** Words behind "tug": "container run". */
  readonly path: string;
  /** The short form: "run" for "container run". */
  readonly top?: string;
  /** Other words for the last one: "list" for "ls". */
  readonly aliases?: readonly string[];
  readonly section?: "common" | "hidden";
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

/** The groups of commands and their line in `tug --help`. */
export const groups: Readonly<Record<string, string>> = {
  builder: "Build images and look after the build cache",
  buildx: "The same under the name of Docker's plugin",
  checkpoint: "Work with checkpoints of containers",
  container: "Work with containers",
  image: "Work with images",
  manifest: "Make lists of manifests and look at manifests in registries",
  network: "Work with networks",
  secret: "Work with secrets of this host",
  system: "Look after the daemon",
  volume: "Work with volumes",
};

/** Every command. */
export const entries: readonly Entry[] = [
  {
    path: "container attach",
    top: "attach",
    summary: "Attach this terminal's input and output to a running container",
    load: () => import("./container/attach.ts"),
  },
  {
    path: "container commit",
    top: "commit",
    summary: "Make an image from a container's changes",
    load: () => import("./container/commit.ts"),
  },
  {
    path: "container cp",
    top: "cp",
    summary: "Copy files and folders between a container and this machine",
    load: () => import("./container/cp.ts"),
  },
  {
    path: "container create",
    top: "create",
    summary: "Create a container without starting it",
    load: () => import("./container/create.ts"),
  },
  {
    path: "container diff",
    top: "diff",
    summary: "Show what a container changed in its file system",
    load: () => import("./container/diff.ts"),
  },
  {
    path: "container exec",
    top: "exec",
    section: "common",
    summary: "Run a command in a running container",
    load: () => import("./container/exec.ts"),
  },
  {
    path: "container export",
    top: "export",
    summary: "Write a container's file system as a tar archive",
    load: () => import("./container/export.ts"),
  },
  {
    path: "container inspect",
    summary: "Show everything about containers",
    load: () => import("./container/inspect.ts"),
  },
  {
    path: "container kill",
    top: "kill",
    summary: "Send a signal to running containers, SIGKILL by default",
    load: () => import("./container/kill.ts"),
  },
  {
    path: "container logs",
    top: "logs",
    summary: "Show a container's output",
    load: () => import("./container/logs.ts"),
  },
  {
    path: "container ls",
    top: "ps",
    aliases: ["list", "ps"],
    section: "common",
    summary: "List containers",
    load: () => import("./container/ls.ts"),
  },
  {
    path: "container pause",
    top: "pause",
    summary: "Freeze all processes of containers",
    load: () => import("./container/pause.ts"),
  },
  {
    path: "container port",
    top: "port",
    summary: "Show a container's published ports",
    load: () => import("./container/port.ts"),
  },
  {
    path: "container prune",
    summary: "Remove all stopped containers",
    load: () => import("./container/prune.ts"),
  },
  {
    path: "container rename",
    top: "rename",
    summary: "Give a container another name",
    load: () => import("./container/rename.ts"),
  },
  {
    path: "container restart",
    top: "restart",
    summary: "Stop containers and start them again",
    load: () => import("./container/restart.ts"),
  },
  {
    path: "container rm",
    top: "rm",
    aliases: ["remove"],
    summary: "Remove containers",
    load: () => import("./container/rm.ts"),
  },
  {
    path: "container run",
    top: "run",
    section: "common",
    summary: "Create a container from an image and start it",
    load: () => import("./container/run.ts"),
  },
  {
    path: "container start",
    top: "start",
    summary: "Start stopped containers",
    load: () => import("./container/start.ts"),
  },
  {
    path: "container stats",
    top: "stats",
    summary: "Show the containers' use of resources, live",
    load: () => import("./container/stats.ts"),
  },
  {
    path: "container stop",
    top: "stop",
    summary: "Stop running containers",
    load: () => import("./container/stop.ts"),
  },
  {
    path: "container top",
    top: "top",
    summary: "Show the processes of a container",
    load: () => import("./container/top.ts"),
  },
  {
    path: "container unpause",
    top: "unpause",
    summary: "Thaw all processes of containers",
    load: () => import("./container/unpause.ts"),
  },
  {
    path: "container update",
    top: "update",
    summary: "Change the limits of containers",
    load: () => import("./container/update.ts"),
  },
  {
    path: "container wait",
    top: "wait",
    summary: "Wait until containers stop, then print their exit codes",
    load: () => import("./container/wait.ts"),
  },
  {
    path: "image bootstrap",
    summary: "Make a base image of a distributor's signed packages",
    load: () => import("./image/bootstrap.ts"),
  },
  {
    path: "image build",
    top: "build",
    section: "common",
    summary: "Build an image from a Dockerfile",
    load: () => import("./image/build.ts"),
  },
  {
    path: "image history",
    top: "history",
    summary: "Show how an image was made",
    load: () => import("./image/history.ts"),
  },
  {
    path: "image import",
    top: "import",
    summary: "Make an image from the tar archive of a file system",
    load: () => import("./image/import.ts"),
  },
  {
    path: "image inspect",
    summary: "Show everything about images",
    load: () => import("./image/inspect.ts"),
  },
  {
    path: "image inventory",
    summary: "Tell which layers the daemon has",
    load: () => import("./image/inventory.ts"),
  },
  {
    path: "image load",
    top: "load",
    summary: "Load images from a tar archive or standard input",
    load: () => import("./image/load.ts"),
  },
  {
    path: "image ls",
    top: "images",
    aliases: ["list"],
    section: "common",
    summary: "List images",
    load: () => import("./image/ls.ts"),
  },
  {
    path: "image prune",
    summary: "Remove images that nothing uses",
    load: () => import("./image/prune.ts"),
  },
  {
    path: "image pull",
    top: "pull",
    section: "common",
    summary: "Download an image from a registry",
    load: () => import("./image/pull.ts"),
  },
  {
    path: "image push",
    top: "push",
    section: "common",
    summary: "Upload an image to a registry",
    load: () => import("./image/push.ts"),
  },
  {
    path: "image rm",
    top: "rmi",
    aliases: ["remove"],
    summary: "Remove images",
    load: () => import("./image/rm.ts"),
  },
  {
    path: "image save",
    top: "save",
    summary: "Write images to a tar archive, on standard output by default",
    load: () => import("./image/save.ts"),
  },
  {
    path: "image send",
    summary: "Copy images to another daemon, without the layers that it has",
    load: () => import("./image/send.ts"),
  },
  {
    path: "image tag",
    top: "tag",
    summary: "Give an image one more name",
    load: () => import("./image/tag.ts"),
  },
  {
    path: "manifest annotate",
    summary: "Say what platform a manifest of a list is for",
    load: () => import("./manifest/annotate.ts"),
  },
  {
    path: "manifest create",
    summary: "Begin a list of manifests on this machine, or add to it",
    load: () => import("./manifest/create.ts"),
  },
  {
    path: "manifest inspect",
    summary: "Show a manifest or a list of manifests",
    load: () => import("./manifest/inspect.ts"),
  },
  {
    path: "manifest push",
    summary: "Put a list of manifests into a registry",
    load: () => import("./manifest/push.ts"),
  },
  {
    path: "manifest rm",
    summary: "Forget lists that are being made on this machine",
    load: () => import("./manifest/rm.ts"),
  },
  {
    path: "network connect",
    summary: "Connect a container to a network",
    load: () => import("./network/connect.ts"),
  },
  {
    path: "network create",
    summary: "Create a network",
    load: () => import("./network/create.ts"),
  },
  {
    path: "network disconnect",
    summary: "Disconnect a container from a network",
    load: () => import("./network/disconnect.ts"),
  },
  {
    path: "network inspect",
    summary: "Show everything about networks",
    load: () => import("./network/inspect.ts"),
  },
  {
    path: "network ls",
    aliases: ["list"],
    summary: "List networks",
    load: () => import("./network/ls.ts"),
  },
  {
    path: "network prune",
    summary: "Remove all networks that nothing uses",
    load: () => import("./network/prune.ts"),
  },
  {
    path: "network rm",
    aliases: ["remove"],
    summary: "Remove networks",
    load: () => import("./network/rm.ts"),
  },
  {
    path: "volume create",
    summary: "Create a volume",
    load: () => import("./volume/create.ts"),
  },
  {
    path: "volume inspect",
    summary: "Show everything about volumes",
    load: () => import("./volume/inspect.ts"),
  },
  {
    path: "volume ls",
    aliases: ["list"],
    summary: "List volumes",
    load: () => import("./volume/ls.ts"),
  },
  {
    path: "volume prune",
    summary: "Remove volumes that nothing uses",
    load: () => import("./volume/prune.ts"),
  },
  {
    path: "volume rm",
    aliases: ["remove"],
    summary: "Remove volumes",
    load: () => import("./volume/rm.ts"),
  },
  {
    path: "volume update",
    summary: "Change a cluster volume",
    load: () => import("./volume/update.ts"),
  },
  {
    path: "system check",
    summary: "Look whether everything stored is there and whole, and repair it",
    load: () => import("./system/check.ts"),
  },
  {
    path: "system df",
    summary: "Show what takes disk space",
    load: () => import("./system/df.ts"),
  },
  {
    path: "system events",
    top: "events",
    summary: "Show what happens in the daemon, as it happens",
    load: () => import("./system/events.ts"),
  },
  {
    path: "system info",
    top: "info",
    section: "common",
    summary: "Show the daemon's state and settings",
    load: () => import("./system/info.ts"),
  },
  {
    path: "system prune",
    summary: "Remove everything that nothing uses",
    load: () => import("./system/prune.ts"),
  },
  {
    path: "system dial-stdio",
    section: "hidden",
    summary: "Join standard input and output to the daemon's socket",
    load: () => import("./system/dial-stdio.ts"),
  },
  {
    path: "checkpoint create",
    summary: "Freeze a running container into a checkpoint",
    load: () => import("./checkpoint/create.ts"),
  },
  {
    path: "checkpoint ls",
    aliases: ["list"],
    summary: "List the checkpoints of a container",
    load: () => import("./checkpoint/ls.ts"),
  },
  {
    path: "checkpoint rm",
    aliases: ["remove"],
    summary: "Remove a checkpoint",
    load: () => import("./checkpoint/rm.ts"),
  },
  {
    path: "secret create",
    summary: "Keep a file or standard input as a secret",
    load: () => import("./secret/create.ts"),
  },
  {
    path: "secret inspect",
    summary: "Show everything about secrets, but never their data",
    load: () => import("./secret/inspect.ts"),
  },
  {
    path: "secret ls",
    aliases: ["list"],
    summary: "List secrets",
    load: () => import("./secret/ls.ts"),
  },
  {
    path: "secret rm",
    aliases: ["remove"],
    summary: "Remove secrets",
    load: () => import("./secret/rm.ts"),
  },
  {
    path: "builder build",
    summary: "Build an image from a Dockerfile",
    load: () => import("./image/build.ts"),
  },
  {
    path: "builder du",
    summary: "Show what the build cache takes",
    load: () => import("./builder/du.ts"),
  },
  {
    path: "builder prune",
    summary: "Remove build cache",
    load: () => import("./builder/prune.ts"),
  },
  {
    path: "buildx build",
    aliases: ["b"],
    summary: "Build an image from a Dockerfile",
    load: () => import("./image/build.ts"),
  },
  {
    path: "buildx du",
    summary: "Show what the build cache takes",
    load: () => import("./builder/du.ts"),
  },
  {
    path: "buildx inspect",
    summary: "Show the builder",
    load: () => import("./buildx/inspect.ts"),
  },
  {
    path: "buildx ls",
    summary: "List builders: there is one, the daemon's",
    load: () => import("./buildx/ls.ts"),
  },
  {
    path: "buildx prune",
    summary: "Remove build cache",
    load: () => import("./builder/prune.ts"),
  },
  {
    path: "buildx version",
    summary: "Show the version of the builder's client",
    load: () => import("./buildx/version.ts"),
  },
  {
    path: "inspect",
    summary: "Show everything about any objects",
    load: () => import("./inspect.ts"),
  },
  {
    path: "login",
    section: "common",
    summary: "Log in to a registry",
    load: () => import("./login.ts"),
  },
  {
    path: "logout",
    section: "common",
    summary: "Log out of a registry",
    load: () => import("./logout.ts"),
  },
  {
    path: "search",
    section: "common",
    summary: "Look for images on Docker Hub or another registry",
    load: () => import("./search.ts"),
  },
  {
    path: "version",
    section: "common",
    summary: "Show the versions of client and daemon",
    load: () => import("./version.ts"),
  },
];
