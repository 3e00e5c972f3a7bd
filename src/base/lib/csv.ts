import { invalid } from "./errors.ts";

/** Fields as one record that `parseCsv` reads again: what needs it is quoted. */
export function writeCsv(fields: readonly string[]): string {
  return fields.map((field) => (/[,"\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
}

/** One CSV record (RFC 4180) as Go's encoding/csv reads it. */
export function parseCsv(record: string): string[] {
  if (record === "") return [];
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field = "";
    if (record[at] === '"') {
      for (at++; ; at++) {
        if (at >= record.length)
          throw invalid(`parse error on line 1, column ${at + 1}: extraneous or missing " in quoted-field`);
        if (record[at] !== '"') field += record[at];
        else if (record[at + 1] === '"') {
          field += '"';
          at++;
        } else break;
      }
      at++;
      if (at < record.length && record[at] !== ",")
        throw invalid(`parse error on line 1, column ${at}: extraneous or missing " in quoted-field`);
    } else {
      const end = record.indexOf(",", at);
      field = record.slice(at, end < 0 ? undefined : end);
      const quote = field.indexOf('"');
      if (quote >= 0)
        throw invalid(`parse error on line 1, column ${at + quote + 1}: bare " in non-quoted field`);
      at += field.length;
    }
    fields.push(field);
    if (at >= record.length) return fields;
    at++;
  }
}
