/**
 * A container that does one thing in each of three runs. What it writes to one stream in one run and to the other in the next has an order in
 * its log; within a run that is told by who reads which pipe first.
 */
export function thrice(
  name: string,
  flags: readonly string[],
  [first, second, third]: readonly [string, string, string],
): readonly (readonly string[])[] {
  const script = `r=$(cat /r 2>/dev/null)x; echo $r >/r; case $r in x) ${first};; xx) ${second};; *) ${third};; esac`;
  return [
    ["run", "--name", name, ...flags, "busybox", "sh", "-c", script],
    ["start", "-a", name],
    ["start", "-a", name],
  ];
}
