import { realpathSync } from "node:fs";
import { SystemError } from "../../base/sys/libc.ts";
import { mountOf, readMountInfo } from "../../base/sys/mount/mountinfo.ts";
import { limitProject, projectOf, projectUsage, setProject } from "../../base/sys/project-quota.ts";
import { isDirectory } from "./directories.ts";

/**
 * Sizes of snapshots as project quotas of xfs (mounted with "pquota") and ext4 ("prjquota"): a snapshot's directory is a project of
 * its own, so that `df` in it shows the limit and a write past it is ENOSPC or EDQUOT.
 *
 * No ids are recorded: an id is free when the file system knows neither limit nor usage of it, whoever set them, so daemons that
 * share a file system do not take each other's. A directory on its way out loses its limit first; its id is free with its last file.
 */
export class ProjectQuotas {
  readonly #root: string;
  /** The project that the driver's directory itself belongs to, which is the administrator's. */
  readonly #own: number;

  private constructor(root: string, own: number) {
    this.#root = root;
    this.#own = own;
  }

  /** Undefined where the file system of an existing directory does not enforce project quotas. */
  static open(root: string): ProjectQuotas | undefined {
    const mount = mountOf(readMountInfo(), realpathSync(root));
    if (!mount?.superOptions.some((option) => option === "prjquota" || option === "pquota")) return undefined;
    try {
      projectUsage(root, 1);
      return new ProjectQuotas(root, projectOf(root));
    } catch (error) {
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }

  /** Makes an empty directory a project of its own that holds at most so many bytes. */
  limit(directory: string, bytes: number): void {
    for (let id = this.#own + 1; id < 0xffffffff; id++) {
      const { limit, bytes: used, inodes } = projectUsage(this.#root, id);
      if (limit !== 0 || used !== 0 || inodes !== 0) continue;
      setProject(directory, id);
      limitProject(this.#root, id, bytes);
      return;
    }
  }

  /**
   * Ends the limit of a directory that is about to be removed. It leaves the project, too: a directory cannot be moved into one
   * that passes another project on.
   */
  release(directory: string): void {
    // A stray file in the driver's directory has no project of its own.
    if (!isDirectory(directory)) return;
    const id = projectOf(directory);
    if (id === this.#own) return;
    limitProject(this.#root, id, 0);
    setProject(directory, this.#own);
  }
}
