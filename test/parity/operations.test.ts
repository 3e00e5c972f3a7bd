import { networks } from "./stories/networks.ts";
import { operations } from "./stories/operations.ts";
import { shapes } from "./stories/shapes.ts";
import { parity } from "./suite.ts";

parity([...shapes, ...operations, ...networks]);
