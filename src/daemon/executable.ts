/** The command that runs this program again: a compiled executable is itself, from source it is bun and the entry file. */
function selfCommand(): readonly string[] {
  const entry = process.argv[1] ?? "";
  // Compiled executables see their entry under a virtual root.
  return entry.startsWith("/$bunfs/") || entry === "" ? [process.execPath] : [process.execPath, entry];
}

/** Prefix of the command lines of helper programs: the helper's name and its arguments follow. */
export function helperCommand(): readonly string[] {
  return [...selfCommand(), "__helper"];
}
