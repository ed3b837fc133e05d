/** Makes one system call fail for the rest of this thread's life, as a sandbox would: seccomp(2). */

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2n;

/** Instructions of linux/filter.h, and what linux/seccomp.h has them return. */
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const FAIL_WITH = 0x00050000;

export function refuseSystemCall(number: number, errno: number): void {
  // struct sock_filter { u16 code; u8 then, else; u32 operand }
  const program = new Uint8Array(4 * 8);
  const view = new DataView(program.buffer);
  const instructions = [
    [LOAD_WORD, 0, 0, 0], // the call's number is the first word of struct seccomp_data
    [JUMP_IF_EQUAL, 0, 1, number],
    [RETURN, 0, 0, FAIL_WITH | errno],
    [RETURN, 0, 0, ALLOW],
  ] as const;
  for (const [i, [code, onTrue, onFalse, operand]] of instructions.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, onTrue);
    view.setUint8(i * 8 + 3, onFalse);
    view.setUint32(i * 8 + 4, operand, true);
  }
  // struct sock_fprog { u16 length; struct sock_filter * }
  const pointer = new BigUint64Array(2);
  pointer[0] = BigInt(instructions.length);
  pointer[1] = Deno.UnsafePointer.value(Deno.UnsafePointer.of(program));
  const libc = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "buffer", "u64", "u64"], result: "i32" },
  });
  const { prctl } = libc.symbols;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1n, null, 0n, 0n) !== 0) throw new Error("no_new_privs refused");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer, 0n, 0n) !== 0) {
    throw new Error("this kernel refuses system call filters");
  }
  libc.close();
}
