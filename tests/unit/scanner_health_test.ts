/** When a scanner counts as gone, and how it is found again. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals } from "@std/assert";
import { ERRNO, SystemError } from "../../ffi/errno.ts";
import { Health } from "../../src/scanning/health.ts";
import { sleep, waitFor } from "../support/wait.ts";

/** A scanner that answers, or does not, as the test wants. */
class Patient {
  answers = true;
  /** Why it does not. */
  obstacle: Error = new Error("nobody there");
  asked = 0;
  recovered = 0;
  readonly told: string[] = [];
  readonly health = new Health({
    ask: () => {
      this.asked++;
      return this.answers ? Promise.resolve() : Promise.reject(this.obstacle);
    },
    onTrouble: (message) => this.told.push(message),
  });

  constructor() {
    this.health.onRecovery(() => this.recovered++);
  }
}

Deno.test("a suspicion without cause costs one question, and nobody is told", async () => {
  const patient = new Patient();
  patient.health.suspect();
  patient.health.suspect();
  assert(patient.health.settled !== undefined);
  assertEquals(patient.health.trouble, undefined, "it is not known yet");
  await patient.health.settled;
  assertEquals(patient.health.settled, undefined);
  assertEquals([patient.asked, patient.recovered, patient.told], [1, 0, []]);
});

Deno.test("one that is gone is asked again until it answers, and then all who listen hear it", async () => {
  const patient = new Patient();
  patient.answers = false;
  patient.health.suspect();
  await patient.health.settled;
  assertEquals(patient.health.trouble, "nobody there");
  assertEquals(patient.told, ["nobody there"]);
  await waitFor("it is asked again", () => patient.asked >= 3);
  assertEquals(patient.recovered, 0);
  patient.answers = true;
  await waitFor("it is found again", () => patient.recovered === 1);
  assertEquals(patient.health.trouble, undefined);
  patient.health.close();
});

Deno.test("I1: one that could not be asked for want of descriptors counts as before", async () => {
  const patient = new Patient();
  patient.answers = false;
  patient.obstacle = new SystemError("socket", ERRNO.EMFILE);
  patient.health.suspect();
  await patient.health.settled;
  assert(await patient.health.check() !== undefined);
  assertEquals([patient.health.trouble, patient.told.length], [undefined, 0]);
  patient.obstacle = new Error("nobody there");
  patient.health.suspect();
  await patient.health.settled;
  assertEquals(patient.health.trouble, "nobody there");
  patient.obstacle = new SystemError("socket", ERRNO.EMFILE);
  await patient.health.check();
  assertEquals(patient.health.trouble, "nobody there");
  patient.health.close();
});

Deno.test("a check that succeeds is a recovery too, and ends the asking", async () => {
  const patient = new Patient();
  patient.health.fail("connection refused");
  assertEquals(await patient.health.check(), undefined);
  assertEquals([patient.asked, patient.recovered], [1, 1]);
  await sleep(400);
  assertEquals(patient.asked, 1);
});

Deno.test("the reason is the latest one, in words; the first one is told", async () => {
  const patient = new Patient();
  patient.health.fail("it crashed");
  patient.answers = false;
  assertEquals(await patient.health.check(), "nobody there");
  assertEquals(patient.health.trouble, "nobody there");
  assertEquals(patient.told, ["it crashed"]);
  patient.health.close();
});

Deno.test("I6: one that comes and goes is told of once, and asked ever more rarely", async () => {
  const patient = new Patient();
  // Whoever hears of the recovery tries, and finds it gone again.
  patient.health.onRecovery(() => patient.health.fail("gone"));
  patient.health.fail("gone");
  await waitFor("it came and went", () => patient.recovered >= 2);
  patient.answers = false;
  const before = patient.asked;
  const begin = performance.now();
  await sleep(2000);
  const elapsedMs = performance.now() - begin;
  // One timer: at 250, 750, 1750 … ms.
  const expected = Math.floor(Math.log2(elapsedMs / 250 + 1));
  assert(patient.asked - before <= expected, `${patient.asked - before} times, not ${expected}`);
  assertEquals(patient.told, ["gone"]);
  patient.health.close();
});

Deno.test("after it is closed nothing is asked and nothing told", async () => {
  const patient = new Patient();
  patient.answers = false;
  patient.health.fail("gone");
  patient.health.close();
  patient.health.suspect();
  patient.health.fail("still gone");
  await sleep(300);
  assertEquals([patient.asked, patient.told], [0, ["gone"]]);
});
