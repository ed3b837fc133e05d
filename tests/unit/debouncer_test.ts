/** A path is told when it is quiet, or at the latest after its maximum wait. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { runs } from "../support/size.ts";
import { type RelativePath } from "../../ffi/byte_string.ts";
import {
  type Below,
  Debouncer,
  type Due,
  type Touch,
  type TouchEvent,
} from "../../src/watching/debouncer.ts";

const A = "a" as RelativePath;
const B = "b" as RelativePath;
const SETTLED: Touch = { event: "settled", below: "nothing" };
const CLOSED: Touch = { event: "closed", below: "nothing" };
const WRITING: Touch = { event: "writing", below: "nothing" };
const OTHER: Touch = { event: "other", below: "nothing" };

function path(path: RelativePath, below: Below = "nothing", closed = false): Due {
  return { kind: "path", path, below, closed, used: false };
}

/** When `A` is told, although something happens to it again and again. */
function toldThough(debouncer: Debouncer, everyMs: number, touch: Touch): number {
  for (let now = 0;; now += everyMs) {
    if (debouncer.due(now).length > 0) return now;
    debouncer.touch(A, now, touch);
  }
}

Deno.test("a path is due when it has been quiet for the debounce time", () => {
  const debouncer = new Debouncer(100);
  debouncer.touch(A, 0, SETTLED);
  assertEquals(debouncer.nextDueAt, 100);
  assertEquals(debouncer.due(99), []);
  debouncer.touch(A, 99, WRITING);
  assertEquals(debouncer.due(198), []);
  assertEquals(debouncer.due(199), [path(A)]);
  assertEquals(debouncer.nextDueAt, Infinity);
  assertEquals(debouncer.due(1000), []);
});

Deno.test("paths are due in the order of their last events", () => {
  const debouncer = new Debouncer(100);
  debouncer.touch(A, 0, SETTLED);
  debouncer.touch(B, 10, SETTLED);
  debouncer.touch(A, 20, SETTLED);
  assertEquals(debouncer.due(110), [path(B)]);
  assertEquals(debouncer.due(120), [path(A)]);
});

Deno.test("that something has moved below a path is known until that is told", () => {
  const debouncer = new Debouncer(100, { paths: 2, bytes: 1000 });
  const moved = { event: "settled", below: "moved" } as const;
  debouncer.touch(A, 0, SETTLED);
  assertEquals(debouncer.hasMoved, false);
  debouncer.touch(A, 0, moved);
  debouncer.touch(A, 0, moved);
  debouncer.touch(B, 10, moved);
  debouncer.due(100);
  assertEquals(debouncer.hasMoved, true, "below the other one");
  debouncer.due(110);
  assertEquals(debouncer.hasMoved, false);
  for (const one of [A, B, "c" as RelativePath]) debouncer.touch(one, 120, SETTLED);
  assertEquals(debouncer.hasMoved, true, "everything is to be read");
  debouncer.due(220);
  assertEquals(debouncer.hasMoved, false);
});

Deno.test("when a path will be due is known", () => {
  const debouncer = new Debouncer(100, { paths: 2, bytes: 1000 });
  assertEquals(debouncer.dueAt(A), Infinity);
  debouncer.touch(A, 0, SETTLED);
  debouncer.touch(B, 10, SETTLED);
  assertEquals([debouncer.dueAt(A), debouncer.dueAt(B)], [100, 110]);
  debouncer.touch(A, 20, SETTLED);
  assertEquals(debouncer.dueAt(A), 120);
  debouncer.touch("c" as RelativePath, 20, SETTLED);
  assertEquals(debouncer.dueAt(A), Infinity, "they are not kept apart any more");
});

Deno.test("a file that is closed again and again is told after 10 debounces", () => {
  const debouncer = new Debouncer(100);
  const toldAt = toldThough(debouncer, 50, SETTLED);
  assert(toldAt > 800 && toldAt <= 1000, `told at ${toldAt}`);
});

Deno.test("with a long debounce, a file that is closed again and again is told after 10 s", () => {
  const debouncer = new Debouncer(4000);
  const toldAt = toldThough(debouncer, 500, SETTLED);
  assert(toldAt > 6000 && toldAt <= 10_000, `told at ${toldAt}`);
});

Deno.test("a file that is only being written waits until it is quiet, however long", () => {
  const debouncer = new Debouncer(100);
  for (let now = 0; now < 100_000; now += 50) {
    debouncer.touch(A, now, WRITING);
    assertEquals(debouncer.due(now), []);
  }
  assertEquals(debouncer.due(100_050), [path(A)]);
});

Deno.test("I1: a path whose attributes change again and again is told after 10 debounces", () => {
  const debouncer = new Debouncer(100);
  const toldAt = toldThough(debouncer, 50, OTHER);
  assert(toldAt > 800 && toldAt <= 1000, `told at ${toldAt}`);
});

Deno.test("I1: that a writer has closed a path is told with it, whatever happens after", () => {
  const debouncer = new Debouncer(100);
  debouncer.touch(A, 0, OTHER);
  debouncer.touch(A, 1, CLOSED);
  debouncer.touch(A, 2, SETTLED);
  assertEquals(debouncer.due(1000), [path(A, "nothing", true)]);
  debouncer.touch(A, 2000, SETTLED);
  assertEquals(debouncer.due(3000), [path(A)]);
});

const USED: Touch = { event: "closed", below: "nothing", name: "used" };
const GIVEN: Touch = { event: "other", below: "nothing", name: "given" };
const GIVEN_UP: Touch = { event: "settled", below: "nothing", name: "given up" };

const USES: readonly {
  readonly what: string;
  readonly touches: readonly Touch[];
  readonly used: boolean;
}[] = [
  { what: "used", touches: [USED], used: true },
  { what: "used after its name was given up", touches: [GIVEN_UP, USED], used: true },
  { what: "used, and then its name given up", touches: [USED, GIVEN_UP], used: false },
  { what: "looked for only", touches: [SETTLED], used: false },
  { what: "a temporary file", touches: [GIVEN, USED, GIVEN_UP, USED], used: false },
];

for (const { what, touches, used } of USES) {
  Deno.test(`I3: ${what}: ${used ? "it may" : "it need not"} have another name`, () => {
    const debouncer = new Debouncer(100);
    for (const touch of touches) debouncer.touch(A, 0, touch);
    assertEquals(debouncer.due(1000).map((one) => one.kind === "path" && one.used), [used]);
  });
}

Deno.test("of a file that is written the maximum wait counts from the first settled event", () => {
  const debouncer = new Debouncer(100);
  for (let now = 0; now < 5000; now += 50) debouncer.touch(A, now, WRITING);
  let toldAt: number | undefined;
  for (let now = 5000; toldAt === undefined; now += 50) {
    if (debouncer.due(now).length > 0) toldAt = now;
    else debouncer.touch(A, now, now === 5000 ? SETTLED : WRITING);
  }
  assert(toldAt > 5800 && toldAt <= 6000, `told at ${toldAt}`);
});

Deno.test("a debounce longer than 10 s is kept: it is the user's wish", () => {
  const debouncer = new Debouncer(30_000);
  debouncer.touch(A, 0, SETTLED);
  assertEquals(debouncer.due(29_999), []);
  assertEquals(debouncer.due(30_000), [path(A)]);
});

Deno.test("without a debounce a path is due at once", () => {
  const debouncer = new Debouncer(0);
  debouncer.touch(A, 5, WRITING);
  assertEquals(debouncer.due(5), [path(A)]);
});

Deno.test("what may have changed below a path is told with it, the strongest of all", () => {
  const debouncer = new Debouncer(100);
  debouncer.touch(A, 0, { event: "settled", below: "created" });
  debouncer.touch(A, 1, { event: "settled", below: "moved" });
  debouncer.touch(A, 2, SETTLED);
  assertEquals(debouncer.due(1000), [path(A, "moved")]);
});

Deno.test("no more than the limit is taken at a time; the rest stays due", () => {
  const debouncer = new Debouncer(0);
  for (const name of ["1", "2", "3"]) debouncer.touch(name as RelativePath, 0, SETTLED);
  assertEquals(debouncer.due(0, 2).length, 2);
  assertEquals(debouncer.size, 1);
  assertEquals(debouncer.nextDueAt, 0);
  assertEquals(debouncer.due(0, 2).length, 1);
});

Deno.test("I6: more paths than the limit become one reading of everything, which does not wait for ever", () => {
  const debouncer = new Debouncer(100, { paths: 1000, bytes: Infinity });
  for (let i = 0; i <= 1000; i++) debouncer.touch(`${i}` as RelativePath, i / 100, SETTLED);
  assertEquals(debouncer.size, 1);
  let toldAt: number | undefined;
  for (let now = 20; toldAt === undefined; now += 50) {
    const due = debouncer.due(now);
    if (due.length > 0) {
      assertEquals(due, [{ kind: "everything" }]);
      toldAt = now;
    } else {
      debouncer.touch(A, now, WRITING);
    }
  }
  assert(toldAt <= 1020, `told at ${toldAt}`);
  debouncer.touch(A, 2000, SETTLED);
  assertEquals(debouncer.due(2100), [path(A)]);
});

Deno.test("I6: what enormous paths take is limited too", () => {
  const debouncer = new Debouncer(100, { paths: 1000, bytes: 10_000 });
  const long = "x".repeat(4000);
  for (const name of ["a", "b", "c"]) debouncer.touch(`${long}${name}` as RelativePath, 0, SETTLED);
  assertEquals(debouncer.due(100), [{ kind: "everything" }]);
});

Deno.test("paths that were told do not count for the limits any more", () => {
  const debouncer = new Debouncer(0, { paths: 10, bytes: 100 });
  for (let i = 0; i < 1000; i++) {
    debouncer.touch(`path number ${i}` as RelativePath, i, SETTLED);
    assertEquals(debouncer.due(i).map(({ kind }) => kind), ["path"]);
  }
});

interface ModelPath {
  readonly events: { readonly at: number; readonly event: TouchEvent }[];
  dueAt: number;
  below: Below;
}

/** The same rules, written without regard to speed. */
class Model {
  readonly waiting = new Map<string, ModelPath>();
  constructor(private readonly debounceMs: number) {}

  touch(name: string, now: number, { event, below }: Touch): void {
    const maximum = Math.max(this.debounceMs, Math.min(10 * this.debounceMs, 10_000));
    const known = this.waiting.get(name) ?? { dueAt: -1, events: [], below: "nothing" };
    known.events.push({ at: now, event });
    const isWritten = known.events.some((one) => one.event === "writing");
    const since = isWritten
      ? known.events.find((one) => one.event === "settled" || one.event === "closed")
      : known.events[0];
    const dueAt = now + this.debounceMs;
    if (dueAt <= (since?.at ?? Infinity) + maximum) known.dueAt = dueAt;
    if (below === "moved" || known.below === "nothing") known.below = below;
    this.waiting.set(name, known);
  }

  due(now: number): string[] {
    const due = [...this.waiting].filter(([, { dueAt }]) => dueAt <= now);
    for (const [name] of due) this.waiting.delete(name);
    return due.map(([name, { below, events }]) =>
      `${name} ${below} ${events.some(({ event }) => event === "closed")}`
    ).sort();
  }

  get nextDueAt(): number {
    return Math.min(Infinity, ...[...this.waiting.values()].map(({ dueAt }) => dueAt));
  }
}

Deno.test("any sequence of events is told as a naive model tells it", () => {
  const step = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    pauseMs: fc.nat({ max: 150 }),
    event: fc.constantFrom<TouchEvent>("closed", "settled", "writing", "other"),
    below: fc.constantFrom<Below>("nothing", "created", "moved"),
    look: fc.boolean(),
  });
  const debounces = fc.constantFrom(0, 1, 50, 100, 20_000);
  fc.assert(
    fc.property(debounces, fc.array(step, { maxLength: 100 }), (debounceMs, steps) => {
      const debouncer = new Debouncer(debounceMs);
      const model = new Model(debounceMs);
      let now = 0;
      const compare = () => {
        const due = debouncer.due(now).map((one) =>
          one.kind === "path" ? `${one.path} ${one.below} ${one.closed}` : "everything"
        );
        assertEquals(due.sort(), model.due(now));
      };
      for (const { name, pauseMs, event, below, look } of steps) {
        now += pauseMs;
        if (look) compare();
        debouncer.touch(name as RelativePath, now, { event, below });
        model.touch(name, now, { event, below });
        assertEquals(debouncer.nextDueAt, model.nextDueAt);
        assertEquals(debouncer.size, model.waiting.size);
      }
      now += 1_000_000;
      compare();
    }),
    runs(500),
  );
});
