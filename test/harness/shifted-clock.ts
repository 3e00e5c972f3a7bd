import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * A wall clock of a process's own that can be set back and forth while it runs: a library, loaded before libc, adds seconds from a file
 * to every answer about the time of day. The monotonic clock, and everybody else's time, stay as they are.
 */
const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile int64_t *shift;
__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CLOCK_SHIFT");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *at = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) shift = at;
  close(fd);
}
int clock_gettime(clockid_t which, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(which, at);
  if (shift && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += *shift;
  return result;
}
int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return result;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
`;

export class ShiftedClock implements Disposable {
  /** In front of a command: it lives by this clock. */
  readonly launcher: readonly string[];
  readonly #root: string;
  readonly #fd: number;
  #seconds = 0;

  /** Why it cannot be had here, or undefined. */
  static missing(): string | undefined {
    return Bun.which("cc") ? undefined : "no C compiler is installed (Debian package gcc)";
  }

  constructor() {
    this.#root = mkdtempSync("/tmp/tug-clock-");
    const [code, library, file] = ["shift.c", "shift.so", "seconds"].map((name) =>
      join(this.#root, name),
    ) as [string, string, string];
    writeFileSync(code, source);
    const built = Bun.spawnSync(["cc", "-shared", "-fPIC", "-O1", "-o", library, code, "-ldl"]);
    if (built.exitCode !== 0) throw new Error(built.stderr.toString());
    writeFileSync(file, Buffer.alloc(8));
    this.#fd = openSync(file, "r+");
    this.launcher = ["env", `LD_PRELOAD=${library}`, `CLOCK_SHIFT=${file}`];
  }

  /** So many seconds ahead of the machine's clock from now on; negative: behind. */
  set(seconds: number): void {
    this.#seconds = seconds;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeSync(this.#fd, bytes, 0, 8, 0);
  }

  /** Milliseconds since the epoch, as the process sees it. */
  now(): number {
    return Date.now() + this.#seconds * 1000;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    rmSync(this.#root, { recursive: true, force: true });
  }
}
