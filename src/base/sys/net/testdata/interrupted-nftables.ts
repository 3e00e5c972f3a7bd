import { dlopen, FFIType as T } from "bun:ffi";
import { openNftables } from "../nftables.ts";

/** Makes transactions while a timer signals this thread all the time, and prints as JSON which of them failed and whether signals came. */
const ITIMER_REAL = 0;
const microseconds = 50n;
const { symbols: c } = dlopen("libc.so.6", { setitimer: { args: [T.i32, T.ptr, T.ptr], returns: T.i32 } });

const came = new Promise<boolean>((resolve) => process.once("SIGALRM", () => resolve(true)));
// Keeps it handled: without a handler the signal ends a process.
process.on("SIGALRM", () => undefined);
const failures: string[] = [];
using nft = openNftables();
c.setitimer(ITIMER_REAL, new BigInt64Array([0n, microseconds, 0n, microseconds]), null);
for (let transaction = 0; transaction < 600; transaction++) {
  try {
    nft.run("table inet interrupted\n");
  } catch (error) {
    failures.push(String(error));
  }
}
c.setitimer(ITIMER_REAL, new BigInt64Array(4), null);
console.log(JSON.stringify({ signals: await came, failures: failures.slice(0, 3) }));
process.exit();
