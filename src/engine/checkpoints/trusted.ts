import { lstat, opendir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { notFound, TugError } from "../../base/lib/errors.ts";

/** S_IWGRP and S_IWOTH. */
const writableByOthers = 0o022;

/**
 * CRIU's images say which credentials, descriptors and memory the processes get, so whoever can write them is root. Restoring takes
 * them only from a directory of plain files that root alone can write; everything else of the container (its mounts, devices,
 * limits, network, log) comes from its record and never from what lies beside the images.
 */
async function checkImages(directory: string): Promise<void> {
  const refuse = (path: string, why: string) =>
    new TugError("forbidden", `checkpoint ${directory} is not restored: ${path} ${why}`);
  await checkOwner(directory, "directory", refuse);
  for await (const { name } of await opendir(directory))
    await checkOwner(join(directory, name), "file", refuse);
}

async function checkOwner(
  path: string,
  kind: "file" | "directory",
  refuse: (path: string, why: string) => Error,
): Promise<void> {
  const stat = await lstat(resolve(path));
  if (kind === "file" ? !stat.isFile() : !stat.isDirectory()) throw refuse(path, `is not a plain ${kind}`);
  if (stat.uid !== 0) throw refuse(path, "does not belong to root");
  if ((stat.mode & writableByOthers) !== 0) throw refuse(path, "can be written by others than root");
  if (kind === "file" && stat.nlink > 1) throw refuse(path, "has another name elsewhere");
}

/** Throws Docker's words when there is no such checkpoint. */
export async function checkpointDirectory(path: string, name: string, container: string): Promise<string> {
  const stat = await lstat(path).catch(() => undefined);
  if (!stat) throw notFound(`checkpoint ${name} does not exist for container ${container}`);
  await checkImages(path);
  return path;
}
