/**
 * Last words to guests, of which some do not listen and others are still sending. Closing a socket with unread bytes
 * resets it, and a reset can overtake the answer: so what still comes is read away for a moment.
 */

import type { Connection } from "../../ffi/connection.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import { Admission, type Place } from "./admission.ts";
import type { Answer } from "./answers.ts";

/** For the answer, and for what still comes. */
const LONGEST_MS = 2000;
/** Buffers read away without a pause before others get their turn (I7). */
const READS_A_TURN = 16;

/** Those under way (I6); beyond it one is closed at once, of the same guest if it has any (I7). */
const LIMITS = { maxConnections: 256, maxConnectionsPerGuest: 32 };

const sink = new Uint8Array(64 * 1024);

export interface LastWords {
  readonly answer: Answer;
  /** Whether the guest may still be sending. */
  readonly maySendMore: boolean;
}

interface Farewell {
  readonly guest: string;
  readonly connection: Connection;
  readonly place: Place;
}

export class Farewells {
  readonly #admission = new Admission(LIMITS);
  /** The oldest first. */
  readonly #underWay = new Set<Farewell>();

  /** Sends the answer, reads away what still comes, closes. Never rejects. */
  async say(guest: string, connection: Connection, words: LastWords): Promise<void> {
    const farewell = { guest, connection, place: this.#enter(guest) };
    this.#underWay.add(farewell);
    const deadlineMs = performance.now() + LONGEST_MS;
    try {
      await send(connection, words.answer, deadlineMs);
      if (words.maySendMore) {
        connection.shutdownWrite();
        await drain(connection, deadlineMs);
      }
    } catch {
      // It has gone, or does not listen.
    } finally {
      this.#end(farewell);
    }
  }

  #enter(guest: string): Place {
    for (;;) {
      const place = this.#admission.enter(guest);
      if (place !== undefined) return place;
      const underWay = [...this.#underWay];
      const oldest = underWay.find((farewell) => farewell.guest === guest) ?? underWay[0];
      if (oldest !== undefined) this.#end(oldest);
    }
  }

  #end(farewell: Farewell): void {
    farewell.connection.close();
    farewell.place.release();
    this.#underWay.delete(farewell);
  }

  close(): void {
    for (const farewell of this.#underWay) this.#end(farewell);
  }
}

/** A guest that takes a byte now and then gets no more time than others. */
async function send(guest: Connection, answer: Answer, deadlineMs: number): Promise<void> {
  for (let rest = answer; rest.length > 0 && performance.now() < deadlineMs;) {
    const count = guest.socket.send(rest);
    if (count === "again") await guest.writable(deadlineMs - performance.now());
    else rest = rest.subarray(count);
  }
}

async function drain(guest: Connection, deadlineMs: number): Promise<void> {
  for (let reads = 1; guest.isOpen && performance.now() < deadlineMs; reads++) {
    const count = guest.socket.receive(sink);
    if (count === 0) return;
    if (count === "again") await guest.readable(deadlineMs - performance.now());
    else if (reads % READS_A_TURN === 0) await nextTurn();
  }
}
