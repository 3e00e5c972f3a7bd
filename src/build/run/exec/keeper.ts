/**
 * Ends steps whose daemon is gone. A RUN step has no meaning without it, but nothing in the kernel ties their lives together: the
 * runtime's own child may change its credentials, which takes a parent-death signal away. So a shell waits for the end of a pipe
 * that the daemon alone holds, which comes however the daemon ends, and kills the cgroups of the steps that there are then. What
 * else they leave (mounts, directories) the next daemon takes away, and the cgroups too, should somebody have killed the keeper.
 */
export class Keeper implements Disposable {
  readonly #steps: string;
  #child: Bun.Subprocess<"pipe", "ignore", "ignore"> | undefined;

  /** `steps` is the directory of the steps' directories. */
  constructor(steps: string) {
    this.#steps = steps;
  }

  /** Sees to it that it runs. */
  watch(): void {
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) return;
    this.#child = Bun.spawn(["/bin/sh", "-c", SCRIPT, "tug-build-keeper", this.#steps], {
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      // A Ctrl-C at a daemon in a terminal is not for it.
      detached: true,
    });
    this.#child.unref();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Lets it go; there are no steps any more. */
  [Symbol.dispose](): void {
    this.#child?.stdin.end();
    this.#child = undefined;
  }
}

/**
 * The steps are listed once: those of a daemon that starts meanwhile are none of its business. Several rounds, because a runtime that was
 * still making a container may only now get to it. A container's init takes all its processes along; cgroup.kill is cgroup v2's.
 */
const SCRIPT = `
while read -r line; do :; done
set -- "$1"/*/cgroups
[ -e "$1" ] || exit 0
round=0
while [ $round -lt 30 ]; do
  left=
  for list; do
    [ -r "$list" ] || continue
    while read -r dir; do
      [ -d "$dir" ] || continue
      left=yes
      if [ -e "$dir/cgroup.kill" ]; then echo 1 >"$dir/cgroup.kill"
      else while read -r pid; do kill -9 "$pid"; done <"$dir/cgroup.procs"; fi
      rmdir "$dir"
    done <"$list"
  done
  round=$((round + 1))
  [ -z "$left" ] && [ $round -gt 10 ] && exit 0
  sleep 0.1
done
`;
