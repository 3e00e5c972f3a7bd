import type { Backends } from "../backend.ts";
import { fakeFiles, fakeLifecycle, fakeQueries, fakeStreams } from "./containers.ts";
import { FakeEngine } from "./engine.ts";
import { fakeExec } from "./exec.ts";
import { fakeImages } from "./images.ts";
import { fakeNetworks } from "./networks.ts";
import { fakeSystem } from "./system.ts";
import { fakeVolumes } from "./volumes.ts";

/** Backends without an engine, so that routes and clients can be tested alone. */
export class FakeBackends extends FakeEngine {
  readonly backends: Backends = {
    lifecycle: fakeLifecycle(this),
    containers: fakeQueries(this),
    streams: fakeStreams(this),
    files: fakeFiles(this),
    exec: fakeExec(this),
    images: fakeImages(this),
    volumes: fakeVolumes(this),
    networks: fakeNetworks(this),
    system: fakeSystem(this),
  };
}
