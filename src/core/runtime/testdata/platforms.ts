import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import { runnablePlatforms } from "../emulation.ts";

/** Prints the platforms that an amd64 host runs where this is started; its 32-bit programs are its own. */
const platforms = runnablePlatforms({ os: "linux", architecture: "amd64" }).map(formatPlatform);
console.log(platforms.filter((name) => name !== "linux/386").join(" "));
