import { options } from "./stories/options.ts";
import { parity } from "./suite.ts";

parity(options);
