import type { NetworkDriver } from "../driver.ts";
import { linklessDriver } from "../linkless-driver.ts";

/** A namespace with nothing but its loopback interface. */
export const nullDriver: NetworkDriver = linklessDriver("null");
