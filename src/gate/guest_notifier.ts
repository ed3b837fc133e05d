/**
 * Tells guests that a channel has changed: its name and a newline, over vsock or a hybrid-vsock socket, where
 * virtiofs-notify listens. Never in the way of files: `notify` only takes note.
 */

import { displayText, fromText, toBytes } from "../../ffi/byte_string.ts";
import { pause } from "../../ffi/clock.ts";
import { Connection } from "../../ffi/connection.ts";
import { messageOf } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../logging/logging.ts";
import { connectThroughHybrid } from "../transport/hybrid_vsock.ts";
import type { ChannelConfig, Guest } from "./config/channel_config.ts";
import { BACK_OFF_MS, NotifySchedule } from "./notify_schedule.ts";

const CONNECT_TIMEOUT_MS = 2000;
/** For the message, and again for the guest's end of the connection. */
const MESSAGE_TIMEOUT_MS = 2000;
/** How often is looked whether the last ones have arrived. */
const LOOK_MS = 10;

interface Recipient {
  readonly guest: Guest;
  /** For messages, escaped. */
  readonly name: string;
  /** The port that each channel uses in this guest. */
  readonly ports: Map<string, number>;
  /** One for all channels: a machine that is off is off for all of them. */
  readonly schedule: NotifySchedule;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class GuestNotifier implements Disposable {
  readonly #reactor: Reactor;
  readonly #log: Logger;
  readonly #recipients = new Map<string, Recipient>();
  readonly #recipientsOf = new Map<string, readonly Recipient[]>();
  readonly #connections = new Set<Connection>();
  #underWay = 0;
  #isClosed = false;

  constructor(
    reactor: Reactor,
    channels: Iterable<Pick<ChannelConfig, "name" | "guestNotify">>,
    log: Logger,
  ) {
    this.#reactor = reactor;
    this.#log = log;
    for (const { name, guestNotify: { guests, port } } of channels) {
      const recipients = new Set(guests.map((guest) => this.#recipient(guest)));
      for (const recipient of recipients) recipient.ports.set(name, port);
      this.#recipientsOf.set(name, [...recipients]);
    }
  }

  /** Something was published in `channel`. */
  notify(channel: string): void {
    for (const recipient of this.#recipientsOf.get(channel) ?? []) {
      if (recipient.schedule.changed(channel)) this.#proceed(recipient);
    }
  }

  /** The channels with changes that a guest was not told of. */
  get untold(): readonly string[] {
    const channels = new Set<string>();
    for (const { schedule } of this.#recipients.values()) {
      for (const channel of schedule.untold) channels.add(channel);
    }
    return [...channels];
  }

  /**
   * After the last change: tells at once what is due, but to guests that were out of reach. Settles when that has
   * arrived, and after `withinMs` at the latest.
   */
  async finish(withinMs: number): Promise<void> {
    const giveUpAt = performance.now() + withinMs;
    for (const recipient of this.#recipients.values()) {
      recipient.schedule.hurry();
      this.#proceed(recipient);
    }
    while (this.#underWay + this.#connections.size > 0 && performance.now() < giveUpAt) {
      await pause(LOOK_MS);
    }
  }

  /** Tells nobody anything any more. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#recipients.values()) clearTimeout(timer);
    for (const connection of this.#connections) connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #recipient(guest: Guest): Recipient {
    const key = guest.kind === "vsock" ? String(guest.cid) : guest.socket;
    const known = this.#recipients.get(key);
    if (known !== undefined) return known;
    const recipient: Recipient = {
      guest,
      name: guest.kind === "vsock"
        ? `guest ${guest.cid}`
        : `the guest at ${displayText(guest.socket)}`,
      ports: new Map(),
      schedule: new NotifySchedule(),
      timer: undefined,
    };
    this.#recipients.set(key, recipient);
    return recipient;
  }

  #proceed(recipient: Recipient): void {
    if (this.#isClosed) return;
    clearTimeout(recipient.timer);
    recipient.timer = undefined;
    const nowMs = performance.now();
    const next = recipient.schedule.next(nowMs);
    if (next.kind === "send") this.#send(recipient, next.channel);
    else if (next.kind === "wait") {
      // A timer may be early by a fraction; then it is asked again.
      const delayMs = Math.ceil(next.untilMs - nowMs);
      recipient.timer = setTimeout(() => this.#proceed(recipient), delayMs);
    }
  }

  async #send(recipient: Recipient, channel: string): Promise<void> {
    const { name: guest, schedule, ports } = recipient;
    this.#underWay++;
    try {
      await this.#deliver(recipient.guest, ports.get(channel) ?? 0, channel);
      const isBack = schedule.sent(performance.now());
      if (isBack) this.#log.info("{guest} is notified again", { guest });
    } catch (error) {
      const isNews = schedule.failed(performance.now());
      if (isNews && !this.#isClosed) {
        const reason = messageOf(error);
        this.#log.warn(
          "{guest} cannot be notified of changes ({reason}); it is tried every {seconds} s",
          { guest, reason, seconds: BACK_OFF_MS / 1000 },
        );
      }
    }
    this.#underWay--;
    this.#proceed(recipient);
  }

  async #deliver(guest: Guest, port: number, channel: string): Promise<void> {
    const connection = await this.#connect(guest, port);
    if (this.#isClosed) return connection.close();
    this.#connections.add(connection);
    try {
      await connection.write(toBytes(fromText(`${channel}\n`)), MESSAGE_TIMEOUT_MS);
      connection.shutdownWrite();
    } finally {
      this.#closeAfterPeer(connection);
    }
  }

  /** Closing at once could overtake the message in a hypervisor's buffers: the guest closes first, if it does. */
  async #closeAfterPeer(connection: Connection): Promise<void> {
    await connection.read(new Uint8Array(1), MESSAGE_TIMEOUT_MS).catch(() => {}); // it has been sent
    this.#connections.delete(connection);
    connection.close();
  }

  #connect(guest: Guest, port: number): Promise<Connection> {
    return guest.kind === "vsock"
      ? Connection.connect(
        this.#reactor,
        { family: "vsock", cid: guest.cid, port },
        CONNECT_TIMEOUT_MS,
      )
      : connectThroughHybrid(this.#reactor, guest.socket, port, CONNECT_TIMEOUT_MS);
  }
}
