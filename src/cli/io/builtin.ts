/**
 * Node's modules when they are needed: importing them at the top costs every start of a command that most times does not
 * touch a file.
 */
export const nodeFs = () => process.getBuiltinModule("node:fs");
export const nodePath = () => process.getBuiltinModule("node:path");
const nodeTty = () => process.getBuiltinModule("node:tty");

/** /dev/null: major 1, minor 3. */
const nullDevice = 0x103;

/**
 * Whether a descriptor leads to a terminal. Only a character device may be one, and the null device is none: node:tty, which brings all of node's
 * streams along, is asked about the others alone.
 */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  try {
    const stat = nodeFs().fstatSync(fd);
    if (!stat.isCharacterDevice() || stat.rdev === nullDevice) return false;
  } catch {
    return false; // it is closed
  }
  return nodeTty().isatty(fd);
}

/** An absolute path, as seen from where the user is. */
export const absolutePath = (path: string) => nodePath().resolve(path);
