import { missingDrivers } from "./stories/missing-drivers.ts";
import { conversations, missingDriverRequests } from "./stories/requests.ts";
import { parity } from "./suite.ts";

parity([missingDrivers], [missingDriverRequests, ...conversations]);
