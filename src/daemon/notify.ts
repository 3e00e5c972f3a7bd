/** Tells systemd about our state when it asked to be told (sd_notify(3)); without it nothing happens. */
export function notifyServiceManager(state: string): void {
  const socket = process.env["NOTIFY_SOCKET"];
  if (!socket) return;
  // The protocol is a unix datagram, which neither Node nor Bun can send; the tool of systemd can.
  Bun.spawn(["systemd-notify", state], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).unref();
}
