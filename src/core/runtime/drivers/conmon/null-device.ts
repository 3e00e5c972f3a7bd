import { chmodSync, chownSync, statSync } from "node:fs";

const PATH = "/dev/null";

/**
 * Remembers whose the host's /dev/null is, and returns what gives it back. conmon hands it out as standard input, and crun 1.8 gives
 * whatever the standard streams are to the container's user; in a user namespace that user could then change the mode of the host's
 * own device. (runc leaves it alone.)
 */
export function nullDeviceKeeper(): () => void {
  const before = statSync(PATH);
  return () => {
    const { uid, gid, mode } = statSync(PATH);
    if (uid !== before.uid || gid !== before.gid) chownSync(PATH, before.uid, before.gid);
    if (mode !== before.mode) chmodSync(PATH, before.mode & 0o7777);
  };
}
