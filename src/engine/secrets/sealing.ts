import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { TugError } from "../../base/lib/errors.ts";

const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;

/** Encrypts what lies on disk. What is sealed under one id does not open under another. */
export interface Sealing {
  seal(id: string, plain: Uint8Array): Buffer;
  open(id: string, sealed: Uint8Array): Buffer;
}

/**
 * AES-256-GCM (NIST SP 800-38D) with a random nonce before and the tag behind the ciphertext, and the id as additional
 * data. The key is made once and kept beside the store, readable by root alone: it guards copies of the database (backups,
 * images of the disk without that file), not against root.
 */
export function fileKeySealing(directory: string): Sealing {
  const key = loadKey(directory);
  return {
    seal(id, plain) {
      const nonce = randomBytes(nonceLength);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(id));
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(id, sealed) {
      const bytes = Buffer.from(sealed);
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceLength))
          .setAAD(Buffer.from(id))
          .setAuthTag(bytes.subarray(-tagLength));
        return Buffer.concat([decipher.update(bytes.subarray(nonceLength, -tagLength)), decipher.final()]);
      } catch (error) {
        throw new TugError("data-loss", `secret ${id} cannot be decrypted with this node's key`, {
          cause: error,
        });
      }
    },
  };
}

function loadKey(directory: string): Buffer {
  const path = join(directory, "key");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  if (!existsSync(path)) {
    const fresh = `${path}.new`;
    const fd = openSync(fresh, "w", 0o600);
    try {
      writeSync(fd, randomBytes(keyLength));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, path);
  }
  const key = readFileSync(path);
  if (key.length !== keyLength) throw new TugError("data-loss", `${path} is not a key of ${keyLength} bytes`);
  return key;
}
