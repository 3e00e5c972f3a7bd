import { containers } from "./stories/containers.ts";
import { parity } from "./suite.ts";

parity(containers);
