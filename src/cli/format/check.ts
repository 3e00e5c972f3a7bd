import type { SystemCheckReport } from "../../base/spec/docker/extensions.ts";

/** A report for people: each finding with its consequence and the way out, and a last line that sums up. */
export function checkText(report: SystemCheckReport): string {
  const lines: string[] = [];
  for (const { Kind, Name, Problem, Consequence, Remedy, Repaired, Outcome } of report.Findings) {
    lines.push(`${Repaired ? "REPAIRED" : "PROBLEM "}  ${Kind} ${Name}`, `    ${Problem}`);
    if (Repaired) {
      lines.push(`    repaired: ${Outcome}`);
      continue;
    }
    lines.push(`    consequence: ${Consequence}`, `    way out: ${Remedy}`);
    if (Outcome !== "") lines.push(`    not repaired: ${Outcome}`);
  }
  const looked = Object.entries(report.Checked).map(([kind, count]) => `${count} ${kind.toLowerCase()}`);
  const open = report.Findings.filter(({ Repaired }) => !Repaired).length;
  const repaired = report.Findings.length - open;
  const found = [
    ...(open > 0 ? [`${open} ${open === 1 ? "problem" : "problems"}`] : []),
    ...(repaired > 0 ? [`${repaired} repaired`] : []),
  ];
  const verdict = found.length === 0 ? "everything is sound" : found.join(", ");
  lines.push(`Looked at ${looked.join(", ")}${report.Quick ? " (records and sizes only)" : ""}: ${verdict}`);
  return `${lines.join("\n")}\n`;
}
