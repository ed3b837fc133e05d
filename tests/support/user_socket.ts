/** The user's side of notifications: a Unix socket that takes lines. */

import { scratchDirectory } from "./scratch.ts";

export class UserSocket implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #listener: Deno.UnixListener;
  readonly #served: Promise<void>;

  private constructor(readonly path: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#served = this.#serve();
  }

  static listen(path = `${scratchDirectory("user")}/notify.sock`): UserSocket {
    return new UserSocket(path);
  }

  async #serve(): Promise<void> {
    try {
      for await (const connection of this.#listener) this.#take(connection);
    } catch {
      // closed
    }
  }

  async #take(connection: Deno.Conn): Promise<void> {
    const text = await new Response(connection.readable).text();
    this.lines.push(...text.split("\n").slice(0, -1));
    // A line without its newline is a fault of the sender: keep it recognisable.
    if (text !== "" && !text.endsWith("\n")) this.lines.push(`${text}<no newline>`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#served;
  }
}
