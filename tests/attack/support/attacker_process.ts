/** Starts and stops attackers. */

import { marked } from "../../support/command.ts";
import type { AttackOrder } from "./attacker.ts";

export class Attacker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  #output: Promise<Deno.CommandOutput> | undefined;

  constructor(order: AttackOrder) {
    const program = new URL("attacker.ts", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "-q", program, JSON.stringify(order)],
      env: marked(),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Ends it; how often it exchanged something. */
  async stop(): Promise<number> {
    if (this.#output === undefined) {
      this.#output = this.#child.output();
      this.#child.kill("SIGTERM");
    }
    const { code, stdout, stderr } = await this.#output;
    const decoder = new TextDecoder();
    if (code !== 0) throw new Error(`the attacker ended with ${code}: ${decoder.decode(stderr)}`);
    return Number(decoder.decode(stdout));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
