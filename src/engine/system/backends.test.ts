import { expect, test } from "bun:test";
import type { ImageBackend } from "../../api/routes/images/backend.ts";
import type { NetworkBackend } from "../../api/routes/networks/backend.ts";
import type { SystemBackend } from "../../api/routes/system/backend.ts";
import type { VolumeBackend } from "../../api/routes/volumes/backend.ts";
import { ImageService } from "../images/service.ts";
import { NetworkService } from "../networks/service.ts";
import { VolumeService } from "../volumes/service.ts";
import { SystemService } from "./service.ts";

// The API and the engine may not import each other; here, where a test may see both, the compiler holds their shapes together.
const images: new (deps: ConstructorParameters<typeof ImageService>[0]) => ImageBackend = ImageService;
const networks: new (deps: ConstructorParameters<typeof NetworkService>[0]) => NetworkBackend =
  NetworkService;
const volumes: new (deps: ConstructorParameters<typeof VolumeService>[0]) => VolumeBackend = VolumeService;
const system: new (deps: ConstructorParameters<typeof SystemService>[0]) => SystemBackend = SystemService;

test("the services have the shape the API's routes ask for", () => {
  for (const service of [images, networks, volumes, system]) expect(service).toBeFunction();
});
