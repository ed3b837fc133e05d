/** Unix sockets as files, and what a peer's end looks like. AF_VSOCK needs a virtual machine (tests/vm). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { fromText } from "../../ffi/byte_string.ts";
import { SystemError } from "../../ffi/errno.ts";
import { acceptFrom, type Address, socketPair, startConnecting } from "../../ffi/socket.ts";
import { startListening } from "../../ffi/socket_file.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { exists } from "../support/tree.ts";

function newAddress(): Address & { readonly family: "unix" } {
  return { family: "unix", path: `${scratchDirectory("socket")}/s` };
}

Deno.test("a listener's file: the owner and the group may connect, whatever the umask", () => {
  const before = Deno.umask(0);
  try {
    const address = newAddress();
    const listening = startListening(address);
    assertEquals((Deno.lstatSync(address.path).mode ?? 0) & 0o777, 0o660);
    assertEquals(Deno.umask(0), 0, "the umask of the process is as before");
    listening.close();
  } finally {
    Deno.umask(before);
  }
});

Deno.test("a listener's file goes with it", () => {
  const address = newAddress();
  startListening(address).close();
  assertFalse(exists(address.path));
});

Deno.test("a listener that is closed leaves the file of its successor alone", () => {
  const address = newAddress();
  const first = startListening(address);
  Deno.removeSync(address.path);
  const second = startListening(address);
  first.close();
  assert(exists(address.path));
  second.close();
});

Deno.test("a listener knows whether those who connect come to it", () => {
  const address = newAddress();
  const folder = address.path.slice(0, -2);
  const listening = startListening(address);
  assert(listening.isReachable());
  Deno.renameSync(folder, `${folder}.moved`);
  assertFalse(listening.isReachable(), "its folder is elsewhere");
  Deno.renameSync(`${folder}.moved`, folder);
  assert(listening.isReachable());
  Deno.removeSync(address.path);
  assertFalse(listening.isReachable(), "its file is gone");
  const successor = startListening(address);
  assertFalse(listening.isReachable(), "another has its place");
  listening.close();
  assert(successor.isReachable());
  successor.close();
});

Deno.test("a socket that a dead process left is replaced", () => {
  const address = newAddress();
  const crashed = startListening(address);
  crashed.socket.close(); // as the kernel does for a process that was killed: the file stays
  assert(exists(address.path));
  const listening = startListening(address);
  startConnecting(address).close();
  listening.close();
});

Deno.test("a socket on which somebody listens is never replaced", () => {
  const address = newAddress();
  const other = startListening(address);
  const error = assertThrows(() => startListening(address), SystemError, address.path);
  assertEquals(error.code, "EADDRINUSE");
  startConnecting(address).close();
  other.close();
});

Deno.test("a file, a directory, a link or a FIFO at a listener's path is never replaced", () => {
  const makers: Record<string, (path: string) => void> = {
    file: (path) => Deno.writeTextFileSync(path, "precious"),
    directory: (path) => Deno.mkdirSync(path),
    link: (path) => Deno.symlinkSync("/nowhere", path),
    fifo: (path) => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
  };
  for (const [kind, make] of Object.entries(makers)) {
    const address = newAddress();
    make(address.path);
    const before = Deno.lstatSync(address.path).ino;
    const error = assertThrows(() => startListening(address), SystemError);
    assertEquals(error.code, "EADDRINUSE", kind);
    assertEquals(Deno.lstatSync(address.path).ino, before, kind);
  }
});

Deno.test("a listener in a directory that does not exist: the error names it", () => {
  const error = assertThrows(
    () => startListening({ family: "unix", path: "/nonexistent/folder/s" }),
    SystemError,
    "/nonexistent/folder",
  );
  assertEquals(error.code, "ENOENT");
});

Deno.test("an abstract name needs no file", () => {
  const address: Address = { family: "unix", path: `@virtiofs-gate-test-${Deno.pid}` };
  const listening = startListening(address);
  using client = startConnecting(address);
  using accepted = acceptFrom(listening.socket)?.socket;
  assert(client.isOpen && accepted?.isOpen);
  listening.close();
});

Deno.test("a path that is too long for a socket is refused, not cut", () => {
  const path = `/tmp/${"x".repeat(108)}`;
  const error = assertThrows(() => startConnecting({ family: "unix", path }), SystemError);
  assertEquals(error.code, "ENAMETOOLONG");
  assertEquals(error.subject, fromText(path));
});

Deno.test("a peer that ended its sending still receives; one that closed is gone", () => {
  const [ours, theirs] = socketPair();
  assertFalse(ours.peerIsGone);
  theirs.shutdownWrite();
  assertFalse(ours.peerIsGone);
  theirs.close();
  assert(ours.peerIsGone);
  ours.close();
});

Deno.test("asking whether the peer is gone sends it nothing", () => {
  const [ours, theirs] = socketPair();
  assertFalse(ours.peerIsGone);
  assertEquals(theirs.receive(new Uint8Array(1)), "again");
  ours.close();
  theirs.close();
});
