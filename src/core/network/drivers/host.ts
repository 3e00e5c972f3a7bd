import type { NetworkDriver } from "../driver.ts";
import { linklessDriver } from "../linkless-driver.ts";

/** The host's own network: the container has no namespace of its own, so there is nothing to make. */
export const hostDriver: NetworkDriver = linklessDriver("host");
