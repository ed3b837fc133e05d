/** Serves guests within limits: one request a connection, others' places never taken by one guest. */

import { display, fromBytes } from "../../ffi/byte_string.ts";
import type { Connection } from "../../ffi/connection.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type Address, showAddress } from "../../ffi/socket.ts";
import type { Logger } from "../logging/logging.ts";
import { LastingListener } from "../transport/lasting_listener.ts";
import { Admission, type ConnectionLimits, type Place } from "./admission.ts";
import { ANSWERS } from "./answers.ts";
import { Farewells } from "./farewell.ts";
import { type Outcome, Request, type RequestContext, type RequestLimits } from "./request.ts";

export interface ProxyOptions {
  readonly clamd: Address;
  readonly limits: RequestLimits & ConnectionLimits;
  readonly log: Logger;
}

/** A request is read and relayed through one of these. */
const BUFFER_SIZE = 256 * 1024;
/** How often it is looked whether times are over and guests still there. */
const CHECK_MS = 500;
/** For requests that are under way when it stops. */
const LAST_REQUESTS_MS = 2500;

export class Proxy implements Disposable {
  readonly #context: RequestContext;
  readonly #log: Logger;
  readonly #admission: Admission;
  readonly #farewells = new Farewells();
  readonly #listeners: LastingListener[] = [];
  /** Whose request each is. */
  readonly #requests = new Map<Request, Connection>();
  readonly #serving = new Set<Promise<void>>();
  readonly #freeBuffers: Uint8Array<ArrayBuffer>[] = [];
  readonly #checking: ReturnType<typeof setInterval>;

  constructor(reactor: Reactor, options: ProxyOptions) {
    this.#context = { reactor, clamd: options.clamd, limits: options.limits };
    this.#log = options.log;
    this.#admission = new Admission(options.limits);
    this.#checking = setInterval(() => {
      const nowMs = performance.now();
      for (const request of this.#requests.keys()) request.check(nowMs);
    }, CHECK_MS);
  }

  /** Serves whoever connects to `address`. A guest is a CID, or everybody who uses one Unix socket. */
  listen(address: Address): void {
    const place = display(showAddress(address));
    this.#listeners.push(
      new LastingListener(this.#context.reactor, address, this.#log, (connection, cid) => {
        this.#accept(connection, cid === undefined ? place : `guest ${cid}`);
      }),
    );
  }

  /** Takes no more requests, lets those under way end in a few seconds, and tells the others that it stops. */
  async finish(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const request of this.#requests.keys()) if (!request.isUnderWay) request.stop();
    const timer = setTimeout(() => {
      for (const request of this.#requests.keys()) request.stop();
    }, LAST_REQUESTS_MS);
    await Promise.all(this.#serving);
    clearTimeout(timer);
  }

  /** Stops at once: guests see their connection end. */
  close(): void {
    clearInterval(this.#checking);
    for (const listener of this.#listeners) listener.close();
    for (const [request, guest] of this.#requests) {
      guest.close();
      request.stop(); // it may be waiting for clamd
    }
    this.#farewells.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #accept(connection: Connection, guest: string): void {
    const place = this.#admission.enter(guest);
    if (place !== undefined) {
      const serving = this.#serve(connection, guest, place);
      this.#serving.add(serving);
      serving.finally(() => this.#serving.delete(serving));
      return;
    }
    this.#log.warn("{guest}: refused, too many connections at once", { guest });
    const answer = ANSWERS.tooManyConnections;
    this.#farewells.say(guest, connection, { answer, maySendMore: true });
  }

  async #serve(connection: Connection, guest: string, place: Place): Promise<void> {
    const startMs = performance.now();
    const buffer = this.#freeBuffers.pop() ?? new Uint8Array(BUFFER_SIZE);
    const request = new Request(connection, this.#context, buffer);
    this.#requests.set(request, connection);
    let outcome: Outcome | undefined;
    try {
      outcome = await request.serve();
    } catch (error) {
      this.#log.warn("{guest}: its request failed: {error}", { guest, error });
    } finally {
      this.#requests.delete(request);
      this.#freeBuffers.push(buffer);
      place.release(); // before the answer: the guest's next connection may follow at once
    }
    const durationMs = performance.now() - startMs;
    // The guest waits for its answer, and nobody for the end of clamd's connection.
    const ended = this.#end(guest, connection, outcome);
    request.close();
    await ended;
    this.#report(guest, outcome, durationMs);
  }

  async #end(guest: string, connection: Connection, outcome: Outcome | undefined): Promise<void> {
    if (outcome === undefined || outcome.kind === "vanished") return connection.close();
    const maySendMore = outcome.kind === "refused" || outcome.maySendMore;
    await this.#farewells.say(guest, connection, { answer: outcome.answer, maySendMore });
  }

  #report(guest: string, outcome: Outcome | undefined, durationMs: number): void {
    switch (outcome?.kind) {
      case undefined:
        return;
      case "vanished":
        return this.#log.debug("{guest}: went away", { guest });
      case "refused":
        return this.#log.warn("{guest}: refused, {reason}", { guest, reason: outcome.reason });
      case "answered": {
        const { command, size } = outcome;
        const answer = showAnswer(outcome.answer);
        const level = answer.endsWith(" FOUND") ? "info" : "debug";
        if (!this.#log.isEnabledFor(level)) return; // so that the usual answer costs nothing more
        const ms = durationMs.toFixed(1);
        const text = "{guest}: {command} of {size} bytes answered in {ms} ms: {answer}";
        this.#log[level](text, { guest, command, size, ms, answer });
      }
    }
  }
}

/** Without its end; escaped, for what clamd says is not trusted either. */
function showAnswer(answer: Uint8Array): string {
  return display(fromBytes(answer, 0, answer.length - 1));
}
