/** Last words of clamd-vproxy, to guests that do not listen: on sockets of which the other side reads nothing. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertLess } from "@std/assert";
import { Connection } from "../../ffi/connection.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { socketPair, type StreamSocket } from "../../ffi/socket.ts";
import { Farewells } from "../../src/vproxy/farewell.ts";
import { sleep } from "../support/wait.ts";

const ANSWER = new TextEncoder().encode("stream: OK\0");

interface Peer {
  readonly connection: Connection;
  readonly far: StreamSocket;
}

class World implements AsyncDisposable {
  readonly farewells = new Farewells();
  readonly #reactor = new Reactor();
  readonly #peers: Peer[] = [];

  /** A guest that is told something; one that is deaf takes no byte of it. */
  tell(guest: string, { isDeaf, maySendMore }: { isDeaf: boolean; maySendMore: boolean }): Peer {
    const [near, far] = socketPair();
    const filling = new Uint8Array(64 * 1024);
    while (isDeaf && near.send(filling) !== "again");
    const connection = new Connection(this.#reactor, near);
    this.farewells.say(guest, connection, { answer: ANSWER, maySendMore });
    const peer = { connection, far };
    this.#peers.push(peer);
    return peer;
  }

  get open(): number {
    return this.#peers.filter(({ connection }) => connection.isOpen).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.farewells.close();
    assertEquals(this.open, 0);
    for (const { far } of this.#peers) far.close();
    await this.#reactor.stop();
  }
}

for (const maySendMore of [false, true]) {
  const which = maySendMore ? "refused" : "answered";
  Deno.test(`I6: few connections are held of a guest that is ${which} and does not read`, async () => {
    await using world = new World();
    for (let i = 0; i < 100; i++) world.tell("deaf", { isDeaf: true, maySendMore });
    assertLess(world.open, 33);
    for (let i = 0; i < 400; i++) world.tell(`deaf ${i}`, { isDeaf: true, maySendMore });
    assertLess(world.open, 257);
  });
}

Deno.test("I7: a guest's flood of connections that do not end costs another none of its last words", async () => {
  await using world = new World();
  const other = world.tell("other", { isDeaf: false, maySendMore: true });
  for (let i = 0; i < 1000; i++) world.tell("flood", { isDeaf: i % 2 === 0, maySendMore: true });
  assert(other.connection.isOpen, "what it still sends is read away");
  const buffer = new Uint8Array(100);
  assertEquals(other.far.receive(buffer), ANSWER.length);
  assertEquals(other.far.send(new Uint8Array(10)), 10);
});

Deno.test("I6: a guest that reads a byte now and then is not waited for longer than another", async () => {
  await using world = new World();
  const { connection, far } = world.tell("slow", { isDeaf: true, maySendMore: true });
  const startMs = performance.now();
  const byte = new Uint8Array(1);
  while (connection.isOpen && performance.now() < startMs + 10_000) {
    far.receive(byte);
    await sleep(20);
  }
  assertLess(performance.now() - startMs, 5000);
});

Deno.test("who only gets an answer is let go at once", async () => {
  await using world = new World();
  const { connection, far } = world.tell("guest", { isDeaf: false, maySendMore: false });
  await sleep(0);
  assert(!connection.isOpen);
  assertEquals(far.receive(new Uint8Array(100)), ANSWER.length);
});
