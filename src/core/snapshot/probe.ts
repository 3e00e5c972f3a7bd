import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, mknodat, S_IFCHR } from "../../base/sys/at.ts";
import { mountOverlay, unmountIfMounted } from "../../base/sys/mount.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";

/**
 * Why `root` cannot hold overlay upper directories, or undefined when it can: tries everything that the driver needs (a
 * mount with an upper directory, a whiteout, a trusted attribute), as file system names do not tell (overlay on overlay,
 * fuse, user namespaces).
 */
export function overlayProblem(root: string): string | undefined {
  const base = join(root, ".probe");
  const at = (name: string) => join(base, name);
  // An earlier probe may have been killed half-way.
  unmountIfMounted(at("merged"));
  rmSync(base, { recursive: true, force: true });
  mkdirSync(base, { recursive: true, mode: 0o700 });
  try {
    for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(at(name));
    mknodat(AT_FDCWD, at("lower/whiteout"), S_IFCHR, 0);
    using tree = RootedDir.open(base);
    tree.setXattr("lower", "trusted.overlay.opaque", Buffer.from("y"));
    mountOverlay(
      [`lowerdir=${at("lower")}`, `upperdir=${at("upper")}`, `workdir=${at("work")}`],
      at("merged"),
    );
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    unmountIfMounted(at("merged"));
    rmSync(base, { recursive: true, force: true });
  }
}
