/** Jobs that take each other what they all need become fewer, until it is enough for those that run (I6). */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { Scheduler } from "../../src/scheduling/scheduler.ts";
import { ONE_MORE_MS, Shortage } from "../../src/scheduling/shortage.ts";
import { sleep, waitFor } from "../support/wait.ts";

Deno.test("I6: after each miss half as many run, and one more after each while without", () => {
  const shortage = new Shortage();
  assertEquals(shortage.most(1000), Infinity);
  shortage.met(8, 1000);
  assertEquals(shortage.most(1000), 4);
  shortage.met(4, 1001);
  assertEquals(shortage.most(1001), 2);
  // Those that are still running from before: they must not raise it again.
  shortage.met(8, 1002);
  assertEquals(shortage.most(1002), 2);
  assertEquals(shortage.most(1002 + 3 * ONE_MORE_MS), 5);
  shortage.met(1, 10_000);
  assertEquals(shortage.most(10_000), 0);
  assertEquals(shortage.most(10_000 + ONE_MORE_MS), 1);
  // What is no job, such as the reading of a tree, tries again more often than that.
  for (let now = 10_000; now < 10_000 + ONE_MORE_MS; now += 100) shortage.met(0, now);
  assertEquals(shortage.most(10_000 + ONE_MORE_MS), 1);
});

Deno.test("I6: jobs that need more than there is for all of them get done, a few at a time", async () => {
  const [each, available, wanted] = [3, 8, 40];
  let [free, left, done, misses, most] = [available, wanted, 0, 0, 0];
  const scheduler = new Scheduler({ places: () => 8 });
  const job = async () => {
    most = Math.max(most, scheduler.running);
    let held = 0;
    for (; held < each; held++) {
      if (free === 0) break;
      free--;
      await sleep(1);
    }
    if (held < each) {
      misses++;
      scheduler.missed();
      left++; // later
    } else done++;
    free += held;
  };
  scheduler.add(() => left-- > 0 ? job : void left++);
  scheduler.wake();
  await waitFor("all are done", () => done === wanted);
  assert(most > 2, "it was not short");
  assert(misses < 2 * wanted, `${misses} misses for ${wanted} jobs`);
});

Deno.test("I6: where there is nothing at all, it is tried now and then, and goes on by itself", async () => {
  let [isThere, tries, done] = [false, 0, 0];
  const scheduler = new Scheduler({ places: () => 8 });
  scheduler.add(() =>
    done > 0 ? undefined : () => {
      tries++;
      if (isThere) done++;
      else scheduler.missed();
      return Promise.resolve();
    }
  );
  scheduler.wake();
  await sleep(5 * ONE_MORE_MS);
  assert(tries >= 2, "it is not tried again");
  assert(tries <= 12, `it is tried ${tries} times`);
  isThere = true;
  await waitFor("it goes on", () => done > 0);
});
