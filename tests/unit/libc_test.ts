/** The C library: opened with the least permission, its memory and errno read right. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { addressOf, errno, libc } from "../../ffi/libc.ts";
import { LIBC_CANDIDATES } from "../../ffi/platform.ts";
import { scratchDirectory } from "../support/scratch.ts";

const LIBC_MODULE = new URL("../../ffi/libc.ts", import.meta.url).href;

/** Runs a program that uses the C library, under these permissions and no others. */
async function runWith(...permissions: string[]): Promise<{ success: boolean; output: string }> {
  const program = `${scratchDirectory("libc")}/program.ts`;
  await Deno.writeTextFile(
    program,
    `import { libc } from ${JSON.stringify(LIBC_MODULE)};
     console.log("closing nothing gives", libc.close(-1));`,
  );
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-lock", ...permissions, program],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("I8: a grant for the library's own path is enough", async () => {
  const { success, output } = await runWith(`--allow-ffi=${LIBC_CANDIDATES.join(",")}`);
  assert(success, output);
  assertStringIncludes(output, "closing nothing gives -1");
});

Deno.test("without the grant the message says what to grant", async () => {
  const { success, output } = await runWith();
  assert(!success);
  assertStringIncludes(output, "--allow-ffi");
  assertStringIncludes(output, LIBC_CANDIDATES[0] ?? "");
});

Deno.test("a buffer's address is where its bytes are, also inside a larger one", () => {
  const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const copy = new Uint8Array(3);
  libc.copyFromAddress(copy, addressOf(buffer.subarray(2)), 3n);
  assertEquals(copy, new Uint8Array([3, 4, 5]));
  assertEquals(addressOf(buffer.subarray(2)) - addressOf(buffer), 2n);
});

Deno.test("errno is that of the call just before, every time", () => {
  const EBADF = 9;
  const ENOENT = 2;
  const missing = new TextEncoder().encode("/there/is/no/such/file\0");
  for (let i = 0; i < 50_000; i++) {
    // Nothing comes in between: what allocates may collect garbage, and that has an errno of its own.
    const closed = libc.close(-1);
    const afterClose = errno();
    const opened = libc.openat(-100, missing, 0, 0);
    const afterOpen = errno();
    if (closed !== -1 || afterClose !== EBADF) throw new Error(`EBADF expected in round ${i}`);
    if (opened !== -1 || afterOpen !== ENOENT) throw new Error(`ENOENT expected in round ${i}`);
  }
});
