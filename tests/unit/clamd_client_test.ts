/** What a scan that could not even be tried counts as. */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertRejects } from "@std/assert";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { createMemoryFile } from "../../ffi/memory_file.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { ClamdClient } from "../../src/scanning/clamd_client.ts";
import type { Verdict } from "../../src/scanning/scanner.ts";

/** One at a time, each of which fails so. */
class FailingClient extends ClamdClient {
  constructor(reactor: Reactor, private readonly errno: number) {
    const options = { reactor, onTrouble: () => {} };
    super(options, { family: "unix", path: "/nowhere" }, 1);
  }

  protected override attempt(): Promise<Verdict> {
    return Promise.reject(new SystemError("socket", this.errno));
  }

  protected override abandon(): void {}
}

Deno.test("I1: want of descriptors is no verdict, and not an error that a channel may let through", async () => {
  const reactor = new Reactor();
  using file = createMemoryFile("file");
  const client = new FailingClient(reactor, ERRNO.EMFILE);
  for (let attempt = 0; attempt < 3; attempt++) { // its place is free again each time
    await assertRejects(() => client.scan(file, 0), SystemError, "EMFILE");
  }
  client.close();
  await reactor.stop();
});

Deno.test("any other failure of a scan is an error verdict", async () => {
  const reactor = new Reactor();
  using file = createMemoryFile("file");
  const client = new FailingClient(reactor, ERRNO.EIO);
  assertEquals((await client.scan(file, 0)).kind, "error");
  client.close();
  await reactor.stop();
});
