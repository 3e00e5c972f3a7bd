/**
 * Node's modules when they are needed: importing them at the top costs every start of a command that most times does not
 * touch a file.
 */
export const nodeFs = () => process.getBuiltinModule("node:fs");
export const nodePath = () => process.getBuiltinModule("node:path");
export const nodeTty = () => process.getBuiltinModule("node:tty");

/** An absolute path, as seen from where the user is. */
export const absolutePath = (path: string) => nodePath().resolve(path);
