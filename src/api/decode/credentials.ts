import type { RegistryCredentials } from "../backend.ts";
import { object, type Shape, string } from "./shape.ts";

export const credentialsShape: Shape<RegistryCredentials> = object({
  username: string,
  password: string,
  auth: string,
  serveraddress: string,
  identitytoken: string,
  registrytoken: string,
});
