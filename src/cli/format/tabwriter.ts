/**
 * Aligns tab-separated columns as Go's text/tabwriter does: a column is a run of neighbouring lines that have a
 * tab-terminated cell there; each is as wide as its widest cell plus padding, at least `minWidth`; the last cell of a line
 * belongs to no column. Widths are columns of a terminal, where a CJK character takes two: so does Docker's own copy of tabwriter.
 */
export function alignColumns(text: string, minWidth = 10, padding = 3): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[][] = lines.map(() => []);
  const columns = Math.max(...lines.map((cells) => cells.length - 1));
  for (let column = 0; column < columns; column++) {
    for (let start = 0; start < lines.length; start++) {
      if (!hasColumn(lines[start], column)) continue;
      let end = start;
      let width = minWidth;
      for (; end < lines.length && hasColumn(lines[end], column); end++) {
        width = Math.max(width, Bun.stringWidth(lines[end]?.[column] ?? "") + padding);
      }
      for (let line = start; line < end; line++) widths[line]?.push(width);
      start = end;
    }
  }
  return lines
    .map((cells, line) =>
      cells
        .map((cell, column) => {
          const width = column < cells.length - 1 ? (widths[line]?.[column] ?? 0) : 0;
          return cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
        })
        .join(""),
    )
    .join("\n");
}

const hasColumn = (cells: readonly string[] | undefined, column: number) => (cells?.length ?? 0) - 1 > column;
