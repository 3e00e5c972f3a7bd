import { systemClock } from "../../../../base/lib/clock.ts";
import { snapshotterSuite } from "../../suite.ts";
import { openVfs } from "./vfs.ts";

snapshotterSuite("vfs", ({ db, root }) => openVfs({ db, root, clock: systemClock }));
