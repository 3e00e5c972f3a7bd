import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { object, type Shape, string } from "./shape.ts";

export const credentialsShape: Shape<AuthConfig> = object({
  username: string,
  password: string,
  auth: string,
  serveraddress: string,
  identitytoken: string,
  registrytoken: string,
});
