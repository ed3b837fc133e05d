/** One wait for everything: who is ready is called, and nobody else. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { fileName, fromText } from "../../ffi/byte_string.ts";
import { Directory } from "../../ffi/directory.ts";
import { IN, Inotify } from "../../ffi/inotify.ts";
import { EPOLL, nextTurn, Reactor } from "../../ffi/reactor.ts";
import { socketPair } from "../../ffi/socket.ts";
import { onThreadPool } from "../../ffi/thread_pool.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** Something that becomes ready to be read when told to. */
class Source implements Disposable {
  readonly queue = new Inotify();
  readonly #directory = Directory.openTrusted(fromText(scratchDirectory("reactor", "memory")));
  #events = 0;

  constructor() {
    this.queue.addWatch(this.#directory, IN.CREATE);
  }

  fire(): void {
    this.#directory.createFile(fileName(`${this.#events++}`), 0o600).close();
  }

  [Symbol.dispose](): void {
    this.queue.close();
    this.#directory.close();
  }
}

async function withReactor(test: (reactor: Reactor) => Promise<void>): Promise<void> {
  using reactor = new Reactor();
  try {
    await test(reactor);
  } finally {
    await reactor.stop();
  }
}

Deno.test("a handler is called when its descriptor is ready, with what it is ready for", async () => {
  await withReactor(async (reactor) => {
    using one = new Source();
    using other = new Source();
    const calls: string[] = [];
    reactor.add(one.queue, EPOLL.IN, (events) => {
      calls.push(`one ${events}`);
      one.queue.read();
    });
    reactor.add(other.queue, EPOLL.IN, () => {
      calls.push("other");
      other.queue.read();
    });
    await sleep(10);
    assertEquals(calls, []);
    one.fire();
    await waitFor("the call", () => calls.length > 0);
    await sleep(10);
    assertEquals(calls, [`one ${EPOLL.IN}`]);
  });
});

Deno.test("a descriptor that stays ready is called again, and others are not held up", async () => {
  await withReactor(async (reactor) => {
    using busy = new Source();
    using calm = new Source();
    let busyCalls = 0;
    let calmCalls = 0;
    reactor.add(busy.queue, EPOLL.IN, () => void busyCalls++);
    reactor.add(calm.queue, EPOLL.IN, () => void (calmCalls++, calm.queue.read()));
    busy.fire();
    await waitFor("many calls", () => busyCalls > 100);
    calm.fire();
    await waitFor("the other's call", () => calmCalls === 1);
    reactor.remove(busy.queue);
  });
});

Deno.test("what was removed or paused is not called", async () => {
  await withReactor(async (reactor) => {
    using removed = new Source();
    using paused = new Source();
    using witness = new Source();
    const calls: string[] = [];
    reactor.add(removed.queue, EPOLL.IN, () => calls.push("removed"));
    reactor.add(paused.queue, EPOLL.IN, () => void (calls.push("paused"), paused.queue.read()));
    reactor.add(witness.queue, EPOLL.IN, () => void (calls.push("witness"), witness.queue.read()));
    reactor.remove(removed.queue);
    reactor.remove(removed.queue); // once is enough
    reactor.modify(paused.queue, 0);
    for (const source of [removed, paused, witness]) source.fire();
    await waitFor("the witness", () => calls.length > 0);
    await sleep(10);
    assertEquals(calls, ["witness"]);
    reactor.modify(paused.queue, EPOLL.IN);
    await waitFor("the paused one", () => calls.length > 1);
    assertEquals(calls, ["witness", "paused"]);
  });
});

Deno.test("what was removed is forgotten before its end, also where it is not closed with its descriptor", async () => {
  await withReactor(async (reactor) => {
    const [sender, receiver] = socketPair();
    using _sender = sender;
    using _receiver = receiver;
    using former = new Source();
    const number = former.queue.fd;
    // As a waiting call keeps what it is looking at.
    sender.sendWithDescriptor(new Uint8Array(1), former.queue);
    reactor.add(former.queue, EPOLL.IN, () => {});
    reactor.remove(former.queue);
    former.queue.close();
    using latter = new Source();
    assertEquals(latter.queue.fd, number);
    let calls = 0;
    reactor.add(latter.queue, EPOLL.IN, () => void calls++);
    former.fire();
    await sleep(50);
    assertEquals(calls, 0);
  });
});

Deno.test("stopping ends the wait, and can be done while a handler runs", async () => {
  using source = new Source();
  using reactor = new Reactor();
  let calls = 0;
  const stopped = Promise.withResolvers<void>();
  reactor.add(source.queue, EPOLL.IN, () => {
    calls++;
    reactor.stop().then(stopped.resolve, stopped.reject);
  });
  source.fire();
  await stopped.promise;
  source.fire();
  await sleep(10);
  assertEquals(calls, 1);
});

Deno.test("I7: at most 8 blocking calls run at a time, and each of the others gets its turn in order", async () => {
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const calls = Array.from({ length: 50 }, (_, i) =>
    onThreadPool(async () => {
      most = Math.max(most, ++running);
      order.push(i);
      await sleep(1);
      running--;
      return i;
    }));
  assertEquals(await Promise.all(calls), Array.from({ length: 50 }, (_, i) => i));
  assertEquals(most, 8);
  assertEquals(order, order.toSorted((a, b) => a - b));
});

Deno.test("a blocking call that fails gives its place back", async () => {
  for (let i = 0; i < 20; i++) {
    await onThreadPool(() => Promise.reject(new Error("no"))).catch(() => {});
  }
  assertEquals(await onThreadPool(() => Promise.resolve("yes")), "yes");
});

Deno.test("the next turn comes before a timer, and after what waits already", async () => {
  const order: string[] = [];
  const timer = sleep(50).then(() => order.push("timer"));
  const promise = Promise.resolve().then(() => order.push("promise"));
  await nextTurn();
  order.push("turn");
  await Promise.all([timer, promise]);
  assert(order.indexOf("promise") < order.indexOf("turn"));
  assert(order.indexOf("turn") < order.indexOf("timer"));
});
