import { adoptSocket } from "./fd-socket.ts";
import { attributes } from "./netlink.ts";
import { AF_NETLINK, bind, closeFd, SOCK_NONBLOCK, SOCK_RAW, socket } from "./sockets.ts";

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
const NFT_MSG_NEWGEN = (10 << 8) | 15;
const NFTA_GEN_PROC_PID = 2;
const headerLength = 16;
const retryMs = 1000;

/**
 * Calls `changed` after every nf_tables transaction of another process on the network of the calling thread: each ends with a NEWGEN
 * message that says who it was (nf_tables_api.c, nf_tables_gen_notify). What came too fast to be queued counts as a change.
 * iptables-legacy is not nf_tables and says nothing.
 */
export async function watchRulesets(changed: () => void): Promise<Disposable> {
  let closed = false;
  const open = async () => {
    const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_NETFILTER);
    try {
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK, 0);
      address.writeUInt32LE(1 << (NFNLGRP_NFTABLES - 1), 8);
      bind(fd, address, "netlink");
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    return await adoptSocket(fd, {
      data: (_socket, data) => {
        if (foreignChange(Buffer.from(data.buffer, data.byteOffset, data.byteLength))) changed();
      },
      // ENOBUFS ends the socket for Bun.
      close: () => {
        again();
      },
      error: () => undefined,
    });
  };
  const reopen = async (): Promise<void> => {
    try {
      const next = await open();
      if (closed) next.end();
      else current = next;
    } catch {
      // For want of descriptors or memory, which may come back: what is missed until then counts as a change.
      if (!closed) timer = setTimeout(again, retryMs).unref();
    }
  };
  const again = () => {
    if (closed) return;
    changed();
    void reopen(); // sees to its own failures
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let current = await open();
  return {
    [Symbol.dispose]() {
      closed = true;
      clearTimeout(timer);
      current.end();
    },
  };
}

/** True when the messages end a transaction of a process that is not this one. */
function foreignChange(messages: Buffer): boolean {
  for (let at = 0; at + headerLength <= messages.length; ) {
    const length = messages.readUInt32LE(at);
    if (length < headerLength || at + length > messages.length) return true;
    if (messages.readUInt16LE(at + 4) === NFT_MSG_NEWGEN) {
      const pid = attributes(messages.subarray(at + headerLength, at + length), 4).get(NFTA_GEN_PROC_PID);
      if (pid?.readUInt32BE(0) !== process.pid) return true;
    }
    at += (length + 3) & ~3;
  }
  return false;
}
