/** A clamd that answers as a test wants: wrongly, in pieces, late, or never. */

import { scratchDirectory } from "./scratch.ts";
import { sleep } from "./wait.ts";

/** One command as it came, without its `z` or `n` and its delimiter; `id` counts them in a session. */
export interface FakeCommand {
  readonly name: string;
  readonly id: number | undefined;
}

/**
 * What to do about a command: bytes to send (an array is sent piece by piece, with pauses), `hang` (never answer)
 * or `close` (end the connection, after the bytes before it).
 */
export type FakeAnswer = string | readonly string[] | "hang" | "close";

export class FakeClamd implements AsyncDisposable {
  readonly commands: string[] = [];
  readonly #connections = new Set<Deno.Conn>();
  readonly #listener: Deno.UnixListener;
  #stopped = false;

  private constructor(
    readonly socket: string,
    /** May be replaced at any time. */
    public answer: (command: FakeCommand) => FakeAnswer | Promise<FakeAnswer>,
  ) {
    // A listener removes the name that it was made with, some time after it was closed: a real clamd may have it by then.
    const name = `${socket}.fake`;
    this.#listener = Deno.listen({ transport: "unix", path: name });
    Deno.renameSync(name, socket);
    this.#accept();
  }

  static start(
    answer: (command: FakeCommand) => FakeAnswer | Promise<FakeAnswer>,
    socket = `${scratchDirectory("fake-clamd")}/clamd.ctl`,
  ): FakeClamd {
    return new FakeClamd(socket, answer);
  }

  count(name: string): number {
    return this.commands.filter((command) => command === name).length;
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) this.#serve(connection);
    } catch (error) {
      if (!this.#stopped) throw error;
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    let pending = "";
    let session: number | undefined;
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const length = await connection.read(buffer);
        if (length === null) return;
        // A descriptor that comes along is closed by the kernel, since nobody takes it.
        pending += String.fromCharCode(...buffer.subarray(0, length));
        for (let next; (next = firstCommand(pending)) !== undefined;) {
          pending = next.rest;
          if (next.name === "") continue; // the byte that carries a descriptor
          this.commands.push(next.name);
          if (next.name === "IDSESSION") {
            session = 0;
            continue;
          }
          if (next.name === "END") return;
          if (session !== undefined) session++;
          const answer = await this.answer({ name: next.name, id: session });
          const pieces = typeof answer === "string" ? [answer] : answer;
          for (const [index, piece] of pieces.entries()) {
            if (piece === "close") return;
            if (piece === "hang") continue;
            if (index > 0) await sleep(10);
            await connection.write(new TextEncoder().encode(piece));
          }
        }
      }
    } catch {
      // The client went away.
    } finally {
      if (this.#connections.delete(connection)) connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#listener.close();
    const connections = [...this.#connections];
    this.#connections.clear();
    for (const connection of connections) connection.close();
    await Deno.remove(this.socket);
  }
}

/** What stands before the answer to a command of a session. */
export function prefix(id: number | undefined): string {
  return id === undefined ? "" : `${id}: `;
}

/** A clamd that answers PING, VERSION and STATS well and scans as `scan` says. */
export function answering(scan: (command: FakeCommand) => FakeAnswer | Promise<FakeAnswer>) {
  return (command: FakeCommand): FakeAnswer | Promise<FakeAnswer> => {
    const before = prefix(command.id);
    switch (command.name) {
      case "PING":
        return `${before}PONG\0`;
      case "VERSION":
        return `${before}ClamAV 1.4.0/1/today\0`;
      case "STATS":
        return `${before}POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max 4 ` +
          "idle-timeout 30\nQUEUE: 0 items\n\tSTATS 0.000010\n\nEND\n\0";
      default:
        return scan(command);
    }
  };
}

/** Cuts one `zNAME\0` or `nNAME\n` off. */
function firstCommand(text: string): { name: string; rest: string } | undefined {
  if (text.startsWith("\0")) return { name: "", rest: text.slice(1) };
  const end = text.indexOf(text.startsWith("n") ? "\n" : "\0");
  if (end < 0) return undefined;
  return { name: text.slice(1, end), rest: text.slice(end + 1) };
}
