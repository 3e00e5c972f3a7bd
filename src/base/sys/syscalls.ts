/**
 * System call numbers that glibc has no wrapper for. Calls added since Linux 5.1 have one number on all architectures
 * (Documentation/process/adding-syscalls.rst; arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl).
 */
export const SYS = {
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
  openat2: 437,
  mount_setattr: 442,
  quotactl_fd: 443,
  landlock_create_ruleset: 444,
  landlock_add_rule: 445,
  landlock_restrict_self: 446,
} as const;
