/**
 * One epoll(7) instance for the whole process: one blocking call at a time on the thread pool serves
 * every socket and inotify queue, and an eventfd(2) wakes it when it is to end.
 */

import { setImmediate } from "node:timers";
import { Descriptor } from "./descriptor.ts";
import { check, ERRNO, SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import { EPOLL_DATA_OFFSET, EPOLL_EVENT_SIZE, O } from "./platform.ts";

export const EPOLL = { IN: 1, OUT: 4, ERR: 8, HUP: 0x10, RDHUP: 0x2000 } as const;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const MAX_EVENTS = 128;

export interface ReactorOptions {
  /**
   * After something happened, wait for more on this thread, for 1 ms at most, before the wait goes to the thread
   * pool: saves two changes of thread (100 µs) where one event soon follows another. Timers and what the thread pool
   * does are held up for as long, so it is for programs that have little but sockets; who waits for a turn is not.
   */
  readonly lingers?: boolean;
}

const LINGER_MS = 1;

/** Called with the ready bits (`EPOLL`). Must not throw. */
export type ReadyHandler = (events: number) => void;

export class Reactor implements Disposable {
  readonly #epoll = new Descriptor(check(libc.epoll_create1(O.CLOEXEC), "epoll_create1"));
  readonly #wake = new Descriptor(check(libc.eventfd(0, O.CLOEXEC | O.NONBLOCK), "eventfd"));
  readonly #handlers = new Map<number, ReadyHandler>();
  readonly #event = new Uint8Array(EPOLL_EVENT_SIZE);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #ready = new Uint8Array(EPOLL_EVENT_SIZE * MAX_EVENTS);
  readonly #readyView = new DataView(this.#ready.buffer);
  readonly #lingers: boolean;
  #expects = false;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor({ lingers = false }: ReactorOptions = {}) {
    this.#lingers = lingers;
    this.#control(EPOLL_CTL_ADD, this.#wake.fd, EPOLL.IN);
  }

  /**
   * Calls `handler` whenever `descriptor` is ready for one of `events` (level-triggered). Where it cannot be added,
   * which is thrown, it is closed: whoever has just opened it is of no use without.
   */
  add(descriptor: Descriptor, events: number, handler: ReadyHandler): void {
    try {
      this.#control(EPOLL_CTL_ADD, descriptor.fd, events);
    } catch (error) {
      descriptor.close();
      throw error;
    }
    this.#handlers.set(descriptor.fd, handler);
    this.#running ??= this.#run();
  }

  /** Other events for a descriptor that was added; 0 pauses it (errors are still told). */
  modify(descriptor: Descriptor, events: number): void {
    this.#control(EPOLL_CTL_MOD, descriptor.fd, events);
  }

  /**
   * To be called before the descriptor is closed: its number may come again. The kernel would forget it by itself, but the
   * waiting call may be looking at it just then. What is closed meanwhile stays open, and no peer hears of its end, until
   * that call returns, which may be never.
   */
  remove(descriptor: Descriptor): void {
    if (!descriptor.isOpen || !this.#handlers.delete(descriptor.fd)) return;
    this.#control(EPOLL_CTL_DEL, descriptor.fd, 0);
  }

  /**
   * An answer is on its way, and nothing else is to be done: the next wait begins on this thread, for 1 ms at most, as
   * with `lingers`.
   */
  expect(): void {
    this.#expects = true;
  }

  /** Ends the waiting call; settles when it has returned. */
  async stop(): Promise<void> {
    this.#stopped = true;
    libc.write(this.#wake.fd, new Uint8Array(new BigUint64Array([1n]).buffer), 8n);
    await this.#running;
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#epoll.close();
    this.#wake.close();
  }

  #control(operation: number, fd: number, events: number): void {
    this.#eventView.setUint32(0, events, true);
    this.#eventView.setInt32(EPOLL_DATA_OFFSET, fd, true);
    check(libc.epoll_ctl(this.#epoll.fd, operation, fd, this.#event), "epoll_ctl");
  }

  async #run(): Promise<void> {
    let wasBusy = false;
    while (!this.#stopped) {
      // While there is something to do, asking is cheaper (µs) than sleeping on the pool (100 µs).
      let count = this.#poll(0);
      const lingers = (this.#expects || wasBusy && this.#lingers) && waitingTurns === 0;
      if (count === 0 && lingers) count = this.#poll(LINGER_MS);
      this.#expects = false;
      if (count === 0) {
        count = await libc.epoll_waitBlocking(this.#epoll.fd, this.#ready, MAX_EVENTS, -1);
        if (count < 0) count = 0; // EINTR; anything else shows in the next poll
      }
      for (let i = 0; i < count && !this.#stopped; i++) {
        const at = i * EPOLL_EVENT_SIZE;
        const fd = this.#readyView.getInt32(at + EPOLL_DATA_OFFSET, true);
        this.#handlers.get(fd)?.(this.#readyView.getUint32(at, true));
      }
      wasBusy = count > 0;
      // Timers and promises get their turn between two rounds.
      if (count > 0) await nextTurn();
    }
  }

  #poll(timeoutMs: number): number {
    const count = libc.epoll_wait(this.#epoll.fd, this.#ready, MAX_EVENTS, timeoutMs);
    if (count >= 0) return count;
    const number = errno();
    if (number === ERRNO.EINTR) return 0;
    throw new SystemError("epoll_wait", number);
  }
}

/** Work that has given others their turn, and waits for its own. */
let waitingTurns = 0;

/** Settles in the next turn of the event loop: after 1 µs, where a timer of 0 ms takes 2 ms. */
export async function nextTurn(): Promise<void> {
  waitingTurns++;
  await new Promise<void>((resolve) => setImmediate(resolve));
  waitingTurns--;
}
