/** Credentials of one registry, as the X-Registry-Auth header and the body of POST /auth carry them. */
export interface AuthConfig {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** base64 of "username:password"; older clients send it instead of the two. */
  readonly auth?: string | undefined;
  readonly serveraddress?: string | undefined;
  readonly identitytoken?: string | undefined;
  readonly registrytoken?: string | undefined;
}
