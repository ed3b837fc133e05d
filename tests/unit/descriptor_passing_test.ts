/** Descriptors travel over Unix sockets (SCM_RIGHTS), and files into sockets, without their content passing here. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SystemError } from "../../ffi/errno.ts";
import { truncate, writeAll } from "../../ffi/file_content.ts";
import { createMemoryFile } from "../../ffi/memory_file.ts";
import { sendFile } from "../../ffi/send_file.ts";
import { socketPair } from "../../ffi/socket.ts";
import { clean } from "../support/eicar.ts";

const MESSAGE = new TextEncoder().encode("zFILDES\0\0");

Deno.test("a descriptor travels with its message, and lives on when the sender closes it", () => {
  const [sender, receiver] = socketPair();
  const [end, passed] = socketPair();
  assertEquals(sender.sendWithDescriptor(MESSAGE, passed), MESSAGE.length);
  passed.close();
  const buffer = new Uint8Array(100);
  assertEquals(end.receive(buffer), "again", "its other end is still open, on its way");
  assertEquals(receiver.receive(buffer), MESSAGE.length);
  assertEquals(buffer.subarray(0, MESSAGE.length), MESSAGE);
  assertEquals(end.receive(buffer), 0, "a receiver that asked for bytes only drops it");
  for (const socket of [sender, receiver, end]) socket.close();
});

Deno.test("bytes that were sent before come before, in one piece with the message", () => {
  const [sender, receiver] = socketPair();
  using file = createMemoryFile("test");
  sender.send(new TextEncoder().encode("zIDSESSION\0"));
  sender.sendWithDescriptor(MESSAGE, file);
  const buffer = new Uint8Array(100);
  assertEquals(receiver.receive(buffer), 11 + MESSAGE.length);
  for (const socket of [sender, receiver]) socket.close();
});

Deno.test("a full queue says again; a peer that is gone is an error, not a signal", () => {
  const [sender, receiver] = socketPair();
  using file = createMemoryFile("test");
  let sent = 0;
  while (sender.sendWithDescriptor(MESSAGE, file) !== "again") sent++;
  assert(sent > 10);
  receiver.close();
  const error = assertThrows(() => sender.sendWithDescriptor(MESSAGE, file), SystemError);
  assertEquals(error.code, "EPIPE");
  sender.close();
});

Deno.test("a descriptor that was closed is refused before the kernel takes another one's number", () => {
  const [sender, receiver] = socketPair();
  const file = createMemoryFile("test");
  file.close();
  assertThrows(() => sender.sendWithDescriptor(MESSAGE, file), Error, "closed before");
  assertEquals(receiver.receive(new Uint8Array(1)), "again");
  for (const socket of [sender, receiver]) socket.close();
});

Deno.test("a memory file has a label, no name, and takes no room for holes", () => {
  using file = createMemoryFile("a-label");
  truncate(file, 2 ** 30);
  assertEquals(Deno.readLinkSync(`/proc/self/fd/${file.fd}`), "/memfd:a-label (deleted)");
  assertEquals(Deno.statSync(`/proc/self/fd/${file.fd}`).blocks, 0);
  assertThrows(() => createMemoryFile("x".repeat(250)), RangeError);
});

Deno.test("a property: a file arrives as it is, from any offset, whatever the pieces", async () => {
  const size = 700_000;
  const content = clean(1, size);
  using file = createMemoryFile("test");
  writeAll(file, content);
  const piece = fc.record({ offset: fc.nat(size), length: fc.nat(size) });
  await fc.assert(
    fc.asyncProperty(piece, async ({ offset, length }) => {
      const [sender, receiver] = socketPair();
      const received = new Uint8Array(size);
      const end = Math.min(size, offset + length);
      let arrived = 0;
      for (let at = offset; at < end;) {
        const sent = await sendFile(sender, file, at, end - at);
        if (sent !== "again") at += sent;
        for (let more; typeof (more = receiver.receive(received.subarray(arrived))) === "number";) {
          if (more === 0) break;
          arrived += more;
        }
      }
      assertEquals(arrived, end - offset);
      assert(received.subarray(0, arrived).every((byte, i) => byte === content[offset + i]));
      assertEquals(await sendFile(sender, file, size, 100), 0, "behind its end there is nothing");
      for (const socket of [sender, receiver]) socket.close();
    }),
    { numRuns: 30 },
  );
});

Deno.test("a peer that is gone ends the sending, small or large", async () => {
  using file = createMemoryFile("test");
  truncate(file, 4 * 2 ** 20);
  for (const length of [1000, 4 * 2 ** 20]) {
    const [sender, receiver] = socketPair();
    receiver.close();
    await assertRejects(() => sendFile(sender, file, 0, length), SystemError, "EPIPE");
    sender.close();
    assertFalse(sender.isOpen);
  }
});
