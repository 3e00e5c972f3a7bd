/** What a container may not see of the host: side channels and kernel secrets (GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p). */
const MASKED_PATHS: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/** What it may read but not write. */
const READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** The paths to mask and to make read-only; an empty list in the request (systempaths=unconfined) means none. */
export function maskedPaths(input: {
  readonly privileged: boolean;
  readonly masked: readonly string[] | null | undefined;
  readonly readonly: readonly string[] | null | undefined;
  readonly extra: readonly string[];
}): { readonly maskedPaths?: readonly string[]; readonly readonlyPaths?: readonly string[] } {
  if (input.privileged) return {};
  return {
    maskedPaths: input.masked ?? [...MASKED_PATHS, ...input.extra],
    readonlyPaths: input.readonly ?? READONLY_PATHS,
  };
}
