/**
 * Last words to a guest that may still be sending. Closing a socket with unread bytes resets it, and a reset can
 * overtake the answer: so what still comes is read away for a moment.
 */

import type { Connection } from "../../ffi/connection.ts";
import { nextTurn } from "../../ffi/reactor.ts";
import type { Answer } from "./answers.ts";

const WRITE_TIMEOUT_MS = 2000;
const DRAIN_MS = 1000;
/** Buffers read away without a pause before others get their turn (I7). */
const READS_A_TURN = 16;

/** Connections that are being drained; beyond it the oldest is closed at once (I6). */
const MOST_FAREWELLS = 256;

const sink = new Uint8Array(64 * 1024);

export class Farewells {
  readonly #underWay = new Set<Connection>();

  /** Sends the answer, ends our sending, reads away what still comes, closes. Never rejects. */
  async say(guest: Connection, answer: Answer): Promise<void> {
    this.#makeRoom();
    this.#underWay.add(guest);
    try {
      await guest.write(answer, WRITE_TIMEOUT_MS);
      guest.shutdownWrite();
      await drain(guest);
    } catch {
      // It has gone, or does not listen.
    } finally {
      this.#underWay.delete(guest);
      guest.close();
    }
  }

  #makeRoom(): void {
    if (this.#underWay.size < MOST_FAREWELLS) return;
    const [oldest] = this.#underWay;
    if (oldest === undefined) return;
    this.#underWay.delete(oldest);
    oldest.close();
  }

  close(): void {
    for (const guest of this.#underWay) guest.close();
  }
}

async function drain(guest: Connection): Promise<void> {
  const deadline = performance.now() + DRAIN_MS;
  for (let reads = 1; guest.isOpen && performance.now() < deadline; reads++) {
    const count = guest.socket.receive(sink);
    if (count === 0) return;
    if (count === "again") await guest.readable(deadline - performance.now());
    else if (reads % READS_A_TURN === 0) await nextTurn();
  }
}
