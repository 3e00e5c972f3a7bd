import { lifecycle } from "./stories/lifecycle.ts";
import { mistakes } from "./stories/mistakes.ts";
import { observing } from "./stories/observing.ts";
import { parity } from "./suite.ts";

parity([...lifecycle, ...observing, ...mistakes]);
