import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Clock } from "../../base/lib/clock.ts";
import { invalid } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { Semaphore } from "../../base/lib/semaphore.ts";

/** bcrypt is slow on purpose: a password that was right is taken for right again so long, while the file is the same. */
const rememberMs = 5 * 60_000;
const maxRemembered = 4096;
/** Guessing passwords must not take all processors. */
const atOnce = 2;
/** Compared with when there is no such user, so that the answer takes as long. */
const nobody = "$2b$10$HTZa16E4CT.ZUR2GnNnDSOOOSBtTut17ujQ3LX8iFetVG.4IBi5by";

/** Parses an htpasswd file: "name:$2y$…" lines, only bcrypt. Throws invalid-argument with the line. */
export function parseHtpasswd(text: string, path: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const hash = line.slice(colon + 1);
    if (colon < 1) throw invalid(`${path}, line ${index + 1}: expected name:hash`);
    if (!/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
      throw invalid(
        `${path}, line ${index + 1}: the hash of ${JSON.stringify(line.slice(0, colon))} is not bcrypt: make it with "tug registry htpasswd" or "htpasswd -B"`,
      );
    }
    users.set(line.slice(0, colon), hash);
  }
  return users;
}

/** Users and their passwords in a file, which is read again when it has changed; one that has become wrong changes nothing. */
export class Htpasswd {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #users: ReadonlyMap<string, string>;
  #version: string;
  readonly #key = randomBytes(32);
  readonly #remembered = new Map<string, number>();
  readonly #turns = new Semaphore(atOnce);

  /** Throws when the file cannot be read or is wrong. */
  constructor(deps: { readonly path: string; readonly clock: Clock; readonly log: Log }) {
    this.#path = deps.path;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#version = versionOf(deps.path);
    this.#users = parseHtpasswd(readFileSync(deps.path, "utf8"), deps.path);
  }

  async verify(user: string, password: string): Promise<boolean> {
    this.#refresh();
    const hash = this.#users.get(user);
    const mark = createHmac("sha256", this.#key).update(`${user}\0${hash}\0${password}`).digest("base64");
    const now = this.#clock.now();
    if (hash !== undefined && (this.#remembered.get(mark) ?? 0) > now) return true;
    using _turn = await this.#turns.acquire();
    const right = await Bun.password.verify(password, hash ?? nobody, "bcrypt");
    if (!right || hash === undefined) return false;
    this.#remembered.delete(mark);
    this.#remembered.set(mark, now + rememberMs);
    for (const old of this.#remembered.keys()) {
      if (this.#remembered.size <= maxRemembered) break;
      this.#remembered.delete(old);
    }
    return true;
  }

  #refresh(): void {
    try {
      const version = versionOf(this.#path);
      if (version === this.#version) return;
      this.#users = parseHtpasswd(readFileSync(this.#path, "utf8"), this.#path);
      this.#version = version;
      this.#remembered.clear();
    } catch (error) {
      this.#log.error("the password file was not read again", { path: this.#path, error });
    }
  }
}

/** What changes when somebody writes the file or puts another in its place. */
function versionOf(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}
