/** A name server for tests: `dns-server.ts <address> <answer>`; "big.test" is too big for UDP, "gone.test" does not exist. */
import { decode, encode, type Packet } from "dns-packet";

const [address = "127.0.0.1", answer = "198.51.100.1"] = process.argv.slice(2);

function reply(message: Uint8Array, stream: boolean): Buffer {
  const query = decode(Buffer.from(message));
  const question = query.questions?.[0];
  const base: Packet = { type: "response", id: query.id ?? 0, questions: query.questions ?? [] };
  const flags = 0x8180;
  if (!question || question.name === "gone.test") return encode({ ...base, flags: flags | 3 });
  if (question.name === "refused.test") return encode({ ...base, flags: flags | 5 });
  if (question.name === "big.test" && !stream) return encode({ ...base, flags: flags | 512 });
  const count = question.name === "big.test" ? 200 : 1;
  const one = { type: "A", name: question.name, ttl: 60, data: answer } as const;
  return encode({ ...base, flags, answers: question.type === "A" ? Array.from({ length: count }, () => one) : [] });
}

await Bun.udpSocket({
  hostname: address,
  port: 53,
  socket: { data: (socket, data, port, from) => void socket.send(reply(data, false), port, from) },
});
Bun.listen({
  hostname: address,
  port: 53,
  socket: {
    data: (socket, data) => {
      const packet = reply(data.subarray(2), true);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    },
  },
});
console.log("ready");
