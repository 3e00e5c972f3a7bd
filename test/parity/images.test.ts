import { images } from "./stories/images.ts";
import { parity } from "./suite.ts";

parity(images);
