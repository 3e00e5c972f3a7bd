import { type ErrorCode, TugError } from "../base/lib/errors.ts";

const codes: Readonly<Record<number, ErrorCode>> = {
  304: "not-modified",
  400: "invalid-argument",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  501: "not-implemented",
  503: "unavailable",
};

/** An error reply of the daemon. The message carries Docker's prefix; `daemonMessage` is the daemon's own text. */
export class DaemonError extends TugError {
  readonly status: number;
  readonly daemonMessage: string;
  constructor(status: number, daemonMessage: string) {
    super(codes[status] ?? "internal", `Error response from daemon: ${daemonMessage}`);
    this.status = status;
    this.daemonMessage = daemonMessage;
  }
}

/** Reads the error out of a reply body: Docker's `{"message"}`, or plain text from anything in between. */
export function daemonError(status: number, body: string): DaemonError {
  const text = body.trim();
  try {
    const parsed: unknown = JSON.parse(text);
    if (
      typeof parsed === "object" &&
      parsed !== null &&
      "message" in parsed &&
      typeof parsed.message === "string"
    ) {
      return new DaemonError(status, parsed.message.trim());
    }
  } catch {
    return new DaemonError(status, text === "" ? `request returned status ${status}` : text);
  }
  return new DaemonError(status, text === "" ? `request returned status ${status}` : text);
}
