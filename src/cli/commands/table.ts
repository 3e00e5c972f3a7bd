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
  container: "Work with containers",
  image: "Work with images",
  network: "Work with networks",
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
    path: "container create",
    top: "create",
    summary: "Create a container without starting it",
    load: () => import("./container/create.ts"),
  },
  {
    path: "container exec",
    top: "exec",
    section: "common",
    summary: "Run a command in a running container",
    load: () => import("./container/exec.ts"),
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
    path: "version",
    section: "common",
    summary: "Show the versions of client and daemon",
    load: () => import("./version.ts"),
  },
];
