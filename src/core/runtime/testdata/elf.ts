/**
 * Programs of a few machine instructions, for system calls that no tool of the test image makes: a one-segment static ELF
 * around the code.
 */
export function elf(bits: 32 | 64, hex: string, base = 0x400000): Uint8Array {
  const code = Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
  const [header, segment] = bits === 32 ? [52, 32] : [64, 56];
  const start = header + segment;
  const file = Buffer.alloc(start + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1, 1]);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(bits === 32 ? 3 : 62, 18); // EM_386, EM_X86_64
  file.writeUInt32LE(1, 20);
  const word = (value: number, offset: number) =>
    bits === 32 ? file.writeUInt32LE(value, offset) : file.writeBigUInt64LE(BigInt(value), offset);
  word(base + start, 24); // e_entry
  word(header, bits === 32 ? 28 : 32); // e_phoff
  const sizes = bits === 32 ? 40 : 52;
  file.writeUInt16LE(header, sizes);
  file.writeUInt16LE(segment, sizes + 2);
  file.writeUInt16LE(1, sizes + 4);
  const size = file.length;
  const fields: readonly number[] =
    bits === 32 ? [1, 0, base, base, size, size, 5, 0x1000] : [1, 5, 0, base, base, size, size, 0x1000];
  let at = header;
  for (const [index, value] of fields.entries()) {
    if (bits === 32 || index < 2) {
      file.writeUInt32LE(value, at);
      at += 4;
    } else {
      word(value, at);
      at += 8;
    }
  }
  file.set(code, start);
  return file;
}

/** x86-64: exits with the errno of socket(family, SOCK_SEQPACKET, 0), or with 250 and up when it worked. */
export const socketProgram = (family: number) =>
  elf(64, `bf${family.toString(16).padStart(2, "0")}000000 be05000000 31d2 b829000000 0f05 89c7 f7df b83c000000 0f05`);

/** i386: exits with 0 when socketcall(SYS_SOCKET, {AF_UNIX, SOCK_STREAM, 0}) works, else with 1. */
export const socketcallProgram = () =>
  elf(32, "31c0 50 6a01 6a01 89e1 6a01 5b 6a66 58 cd80 31db 85c0 7901 43 6a01 58 cd80");
