/** "# name what it is" above a definition: "what it is", else "". */
export function docComment(comments: readonly string[], name: string): string {
  if (name === "") return "";
  const line = comments.find((comment) => comment.startsWith(`${name} `));
  return line?.slice(name.length + 1) ?? "";
}
