import { internal } from "../../../../base/lib/errors.ts";
import { type CgroupPaths, freezeState, setFrozen } from "../../../../base/sys/cgroup/cgroup.ts";

const ROUNDS = 300;

/** Freezes or thaws a cgroup and waits until the kernel has; throws when it cannot, leaving it thawed. */
export async function freeze(cgroups: CgroupPaths, frozen: boolean): Promise<void> {
  if (!setFrozen(cgroups, frozen)) throw internal("the cgroup freezer is not available");
  const wanted = frozen ? "frozen" : "thawed";
  for (let round = 1; freezeState(cgroups) !== wanted; round++) {
    if (round > ROUNDS) {
      setFrozen(cgroups, false);
      throw internal(`unable to ${frozen ? "freeze" : "thaw"}`);
    }
    // v1 gives no event, misses tasks that are being forked, and stays FREEZING for ever when a thread waits in execve for
    // frozen siblings: it is asked again, and now and then let go for a moment.
    if (frozen && round % 20 === 0) {
      setFrozen(cgroups, false);
      await Bun.sleep(10);
    }
    if (frozen) setFrozen(cgroups, true);
    await Bun.sleep(round < 60 ? 1 : 10);
  }
}
