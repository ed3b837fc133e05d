/** When guests are told of changes: by a simulated clock, and once over real sockets. */

// @ts-types="../support/assert.d.ts"
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertStringIncludes,
} from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import fc from "fast-check";
import { fromText } from "../../ffi/byte_string.ts";
import { Reactor } from "../../ffi/reactor.ts";
import type { Guest } from "../../src/gate/config/channel_config.ts";
import { GuestNotifier } from "../../src/gate/guest_notifier.ts";
import { BACK_OFF_MS, INTERVAL_MS, NotifySchedule } from "../../src/gate/notify_schedule.ts";
import { logger } from "../../src/logging/logging.ts";
import { NotificationServer } from "../../src/notify/server.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { bytes } from "../support/stream_peer.ts";
import { sleep, waitFor } from "../support/wait.ts";

interface Change {
  readonly atMs: number;
  readonly channel: string;
}

interface Sending {
  readonly channel: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly succeeded: boolean;
  /** `failed` called it news. */
  readonly isNews: boolean;
}

interface Attempt {
  readonly durationMs: number;
  readonly succeeds: boolean;
}

/** Runs a schedule as the notifier does; attempts beyond the given ones take a moment and succeed. */
function simulate(changes: readonly Change[], attempts: readonly Attempt[]): Sending[] {
  const schedule = new NotifySchedule();
  const sendings: Sending[] = [];
  const coming = changes.toSorted((a, b) => a.atMs - b.atMs);
  let nowMs = 0;
  let underWay: { channel: string; startMs: number; endMs: number; succeeds: boolean } | undefined;
  let wakeMs = Infinity;
  for (let steps = 0; steps < 10_000; steps++) {
    const next = schedule.next(nowMs);
    wakeMs = next.kind === "wait" ? next.untilMs : Infinity;
    if (next.kind === "wait") assert(next.untilMs > nowMs, "a wait that is over is none");
    if (next.kind === "send") {
      assertEquals(underWay, undefined, "one at a time");
      const { durationMs, succeeds } = attempts[sendings.length] ??
        { durationMs: 5, succeeds: true };
      underWay = { channel: next.channel, startMs: nowMs, endMs: nowMs + durationMs, succeeds };
    }
    nowMs = Math.min(coming[0]?.atMs ?? Infinity, underWay?.endMs ?? Infinity, wakeMs);
    if (nowMs === Infinity) return sendings;
    if (underWay !== undefined && underWay.endMs === nowMs) {
      const isNews = underWay.succeeds ? false : schedule.failed(nowMs);
      if (underWay.succeeds) schedule.sent(nowMs);
      sendings.push({ ...underWay, succeeded: underWay.succeeds, isNews });
      underWay = undefined;
    } else if (coming[0]?.atMs === nowMs) schedule.changed(coming.shift()?.channel ?? "");
  }
  throw new Error("it never comes to rest");
}

const change = fc.record({
  atMs: fc.nat(60_000),
  channel: fc.constantFrom("docs", "music", "mail"),
});
const changes = fc.array(change, { maxLength: 60 });
const attempt = fc.record({
  durationMs: fc.integer({ min: 1, max: 4000 }),
  succeeds: fc.boolean(),
});
const attempts = fc.array(attempt, { maxLength: 20 });

function always(check: (changes: readonly Change[], sendings: readonly Sending[]) => void): void {
  fc.assert(
    fc.property(changes, attempts, (changes, attempts) => {
      check(changes, simulate(changes, attempts));
    }),
    { numRuns: 2000 },
  );
}

Deno.test("after every change a notification is sent, and arrives: the last change is never missed", () => {
  always((changes, sendings) => {
    for (const { atMs, channel } of changes) {
      assert(
        sendings.some((one) => one.channel === channel && one.startMs >= atMs && one.succeeded),
        `${channel} at ${atMs}`,
      );
    }
  });
});

Deno.test("a channel is notified at most once in a second", () => {
  always((_, sendings) => {
    for (const channel of new Set(sendings.map((one) => one.channel))) {
      const arrived = sendings.filter((one) => one.channel === channel && one.succeeded);
      for (const [index, { startMs }] of arrived.entries()) {
        const before = arrived[index - 1];
        if (before) assertGreaterOrEqual(startMs - before.endMs, INTERVAL_MS);
      }
    }
  });
});

Deno.test("a guest that could not be reached is left alone for ten seconds, by all channels", () => {
  always((_, sendings) => {
    for (const [index, { startMs }] of sendings.entries()) {
      const before = sendings[index - 1];
      if (before && !before.succeeded) assertGreaterOrEqual(startMs - before.endMs, BACK_OFF_MS);
    }
  });
});

Deno.test("a guest that stays out of reach is news once, and again only after it was back", () => {
  always((_, sendings) => {
    for (const [index, { succeeded, isNews }] of sendings.entries()) {
      if (!succeeded) assertEquals(isNews, sendings[index - 1]?.succeeded ?? true);
    }
  });
});

Deno.test("nothing is sent without a change", () => {
  always((changes, sendings) => {
    for (const { channel } of sendings.filter(({ succeeded }) => succeeded)) {
      assert(changes.some((one) => one.channel === channel));
    }
    assertLessOrEqual(sendings.filter(({ succeeded }) => succeeded).length, changes.length);
  });
});

Deno.test("a first change is told at once, a burst of 1,000 in a second twice: at its start and end", () => {
  const burst = Array.from({ length: 1000 }, (_, i) => ({ atMs: i, channel: "docs" }));
  const sendings = simulate(burst, []);
  assertEquals(sendings.map(({ startMs }) => startMs), [0, 5 + INTERVAL_MS]);
});

Deno.test("channels do not wait for each other", () => {
  const both = [{ atMs: 0, channel: "docs" }, { atMs: 1, channel: "music" }];
  assertEquals(simulate(both, []).map(({ startMs }) => startMs), [0, 5]);
});

Deno.test("what was due in the back-off is sent right afterwards", () => {
  const some = [{ atMs: 0, channel: "docs" }, { atMs: 3000, channel: "music" }];
  const sendings = simulate(some, [{ durationMs: 2000, succeeds: false }]);
  assertEquals(sendings.slice(1).map(({ startMs }) => startMs), [12_000, 12_005]);
});

Deno.test("before the end, what is due waits only for a guest that is off", () => {
  const schedule = new NotifySchedule();
  schedule.changed("docs");
  assertEquals(schedule.next(0), { kind: "send", channel: "docs" });
  schedule.sent(5);
  schedule.changed("docs");
  assertEquals(schedule.next(6), { kind: "wait", untilMs: 5 + INTERVAL_MS });
  schedule.hurry();
  assertEquals(schedule.next(6), { kind: "send", channel: "docs" });
  schedule.failed(7);
  schedule.hurry();
  assertEquals(schedule.next(8), { kind: "wait", untilMs: 7 + BACK_OFF_MS });
});

Deno.test("before the end, what changed while a notification was under way is told right after it", () => {
  const schedule = new NotifySchedule();
  schedule.changed("docs");
  assertEquals(schedule.next(0), { kind: "send", channel: "docs" });
  schedule.changed("docs");
  schedule.hurry();
  schedule.sent(300);
  assertEquals(schedule.next(300), { kind: "send", channel: "docs" });
});

/** Collects what is logged, by level and text. */
function collectLog(): { records: LogRecord[] } & Disposable {
  const records: LogRecord[] = [];
  configureSync({
    sinks: { records: (record) => records.push(record) },
    loggers: [
      { category: [], sinks: ["records"], lowestLevel: "debug" },
      { category: ["logtape", "meta"], lowestLevel: "error" },
    ],
    reset: true,
  });
  return { records, [Symbol.dispose]: () => resetSync() };
}

/** A guest with `channel` behind a hybrid socket, and the notifier that tells it. */
class Bench implements AsyncDisposable {
  readonly folder = scratchDirectory("guest-notifier");
  readonly path = `${this.folder}/vm_3401`;
  readonly notifier: GuestNotifier;
  readonly #reactor = new Reactor();
  #server: NotificationServer | undefined;

  constructor(private readonly channel: string) {
    const guests: Guest[] = [{ kind: "hybrid", socket: this.path }];
    const channels = [{ name: channel, guestNotify: { guests, port: 3401 } }];
    this.notifier = new GuestNotifier(this.#reactor, channels, logger("gate", "guests"));
  }

  /** The guest runs virtiofs-notify from now on. */
  listen(): void {
    this.#server = new NotificationServer(this.#reactor, {
      channels: new Map([[fromText(this.channel), fromText(this.folder)]]),
      allowedCids: new Set(),
      log: logger("notify"),
    });
    this.#server.listen({ family: "unix", path: this.path }, 3401);
  }

  /** Whether the trigger file is there: it comes and goes with the notifications. */
  get isTriggered(): boolean {
    return [...Deno.readDirSync(this.folder)].some(({ name }) => name[0] === ".");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.[Symbol.dispose]();
    this.notifier.close();
    await this.#reactor.stop();
  }
}

Deno.test("over a hybrid socket: virtiofs-notify is told, also when it was away before", async () => {
  using log = collectLog();
  await using bench = new Bench("dócs");
  const { notifier, path } = bench;
  notifier.notify("dócs"); // nobody is there yet
  notifier.notify("unknown");
  await waitFor("a warning", () => log.records.some(({ level }) => level === "warning"));
  bench.listen();
  for (let i = 0; i < 100; i++) notifier.notify("dócs");
  await waitFor("the notification after the back-off", () => bench.isTriggered);
  notifier.notify("dócs");
  await waitFor("the next one", () => !bench.isTriggered);
  const warnings = log.records.filter(({ level }) => level === "warning");
  assertEquals(warnings.length, 1);
  assertStringIncludes(warnings[0]?.message.join("") ?? "", path);
});

Deno.test("the end is not in the way of what is due: a guest hears of the last change at once", async () => {
  using _log = collectLog();
  await using bench = new Bench("docs");
  const { notifier } = bench;
  bench.listen();
  notifier.notify("docs");
  await waitFor("the first one", () => bench.isTriggered);
  notifier.notify("docs"); // due in a second
  await notifier.finish(30_000);
  notifier.close();
  await waitFor("the second one", () => !bench.isTriggered);
});

Deno.test("the end is not in the way of what changed while a slow guest was being told", async () => {
  using _log = collectLog();
  const path = `${scratchDirectory("slow-guest")}/vm`;
  let told = 0;
  using listener = Deno.listen({ transport: "unix", path });
  const listening = (async () => {
    for await (const connection of listener) {
      using guest = connection;
      await guest.read(new Uint8Array(64)); // CONNECT
      await sleep(200);
      await guest.write(bytes("OK 1\n"));
      const message = new Uint8Array(64);
      if (await guest.read(message) === "docs\n".length) told++;
    }
  })().catch(() => {}); // closed
  const reactor = new Reactor();
  const guests: Guest[] = [{ kind: "hybrid", socket: path }];
  const channels = [{ name: "docs", guestNotify: { guests, port: 3401 } }];
  const notifier = new GuestNotifier(reactor, channels, logger("gate", "guests"));
  notifier.notify("docs");
  await sleep(50);
  notifier.notify("docs"); // the first is on its way
  await notifier.finish(30_000);
  notifier.close();
  await reactor.stop();
  listener.close();
  await listening;
  assertEquals(told, 2);
});

Deno.test("the end waits for no guest that is off", async () => {
  using log = collectLog();
  await using bench = new Bench("docs");
  const { notifier } = bench;
  notifier.notify("docs");
  await waitFor("a warning", () => log.records.length > 0);
  notifier.notify("docs");
  await notifier.finish(24 * 3600 * 1000);
});
