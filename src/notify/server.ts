/** Takes notifications and refreshes the channels that they name. */

import { type ByteString, display, fromText, toBytes } from "../../ffi/byte_string.ts";
import type { Connection } from "../../ffi/connection.ts";
import { messageOf, SystemError } from "../../ffi/errno.ts";
import { nextTurn, type Reactor } from "../../ffi/reactor.ts";
import type { Address } from "../../ffi/socket.ts";
import type { Logger } from "../logging/logging.ts";
import { portAskedFor } from "../transport/hybrid_vsock.ts";
import { LastingListener } from "../transport/lasting_listener.ts";
import { LineReader } from "./channel_lines.ts";
import type { ChannelMap } from "./options.ts";
import { Peers } from "./peers.ts";
import { toggleTrigger } from "./refresh.ts";

export interface ServerOptions {
  readonly channels: ChannelMap;
  /** vsock peers that may notify. Who may use a Unix socket, its file says. */
  readonly allowedCids: ReadonlySet<number>;
  readonly log: Logger;
  /** A peer that says nothing for so long is dropped. */
  readonly silenceMs?: number;
}

const MOST_PEERS = 64;
const SILENCE_MS = 30_000;
const WRITE_TIMEOUT_MS = 2000;
const BUFFER_SIZE = 1024;

export class NotificationServer implements Disposable {
  readonly #reactor: Reactor;
  readonly #options: ServerOptions;
  readonly #listeners: LastingListener[] = [];
  readonly #peers: Peers<Connection>;

  constructor(reactor: Reactor, options: ServerOptions) {
    this.#reactor = reactor;
    this.#options = options;
    this.#peers = new Peers(MOST_PEERS, (peer) => {
      options.log.warn("more than {most} peers: the one that was silent longest is dropped", {
        most: MOST_PEERS,
      });
      peer.close();
    });
  }

  /** `port` is the vsock port that a Unix socket stands for. */
  listen(address: Address, port: number): void {
    const { allowedCids, log } = this.#options;
    const listener = new LastingListener(this.#reactor, address, log, (connection, cid) => {
      if (cid === undefined) this.#serve(connection, "a local peer", port);
      else if (allowedCids.has(cid)) this.#serve(connection, `CID ${cid}`, undefined);
      else {
        connection.close();
        log.warn("CID {guest} may not notify (see --allow-cid)", { guest: cid });
      }
    });
    this.#listeners.push(listener);
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener.close();
    for (const peer of this.#peers) peer.close();
  }

  async #serve(peer: Connection, name: string, handshakePort: number | undefined): Promise<void> {
    const { log } = this.#options;
    log.debug("{name} connected", { name });
    this.#peers.add(peer);
    try {
      await this.#takeLines(peer, name, handshakePort);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // ECONNABORTED: dropped by us
      log.debug("{name} is dropped: {error}", { name, error });
    } finally {
      this.#peers.remove(peer);
      peer.close();
    }
  }

  async #takeLines(
    peer: Connection,
    name: string,
    handshakePort: number | undefined,
  ): Promise<void> {
    const { log } = this.#options;
    const reader = new LineReader();
    const buffer = new Uint8Array(BUFFER_SIZE);
    let mayShakeHands = handshakePort !== undefined;
    for (;;) {
      const count = await peer.read(buffer, this.#options.silenceMs ?? SILENCE_MS);
      if (count === 0) return;
      this.#peers.heard(peer);
      const { lines, tooLong } = reader.push(buffer.subarray(0, count));
      if (tooLong > 0) log.warn("a line of {name} is too long: dropped", { name });
      for (const line of lines) {
        const port = mayShakeHands ? portAskedFor(line) : undefined;
        mayShakeHands = false;
        if (port === undefined) this.#refresh(line, name);
        else if (port !== handshakePort) {
          log.warn(
            "{name} asks for port {port}, but this is {own}: compare notify.port and --port",
            {
              name,
              port,
              own: handshakePort,
            },
          );
          return;
        } else await peer.write(toBytes(fromText(`OK ${port}\n`)), WRITE_TIMEOUT_MS);
      }
      await nextTurn(); // a peer that talks without a pause leaves room for the others (I7)
    }
  }

  #refresh(untrustedChannel: ByteString, name: string): void {
    const { channels, log } = this.#options;
    const channel = display(untrustedChannel);
    const path = channels.get(untrustedChannel);
    if (path === undefined) {
      // As `channel` each name would make messages of a kind of its own, none of which is held back (I6).
      if (channel !== "") log.warn("{name}: unknown channel {unknown}", { name, unknown: channel });
      return;
    }
    try {
      const done = toggleTrigger(path);
      log.debug("{channel}: trigger {done}", { channel, done });
    } catch (error) {
      const reason = messageOf(error);
      log.warn("{channel}: {path} cannot be refreshed: {reason}", {
        channel,
        path: display(path),
        reason,
      });
    }
  }
}
