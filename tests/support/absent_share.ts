/** A share that the host has taken away for a while, while the gate runs. */

import { waitFor } from "./wait.ts";
import type { World } from "./world.ts";

export class AbsentShare {
  private constructor(
    private readonly world: World,
    readonly name: string,
    private readonly home: string,
  ) {}

  /** Takes the only channel's share away; the gate knows. */
  static async take(world: World, name: string): Promise<AbsentShare> {
    const absent = new AbsentShare(world, name, world.only.share(name).path);
    world.gate.mark();
    await Deno.rename(absent.home, absent.path);
    await absent.#told("gone");
    return absent;
  }

  /** Where it is now. */
  get path(): string {
    return `${this.home}.away`;
  }

  async write(relative: string, content: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/${relative}`, content);
  }

  /** Puts it back; the gate knows. */
  async back(): Promise<void> {
    this.world.gate.mark();
    await Deno.rename(this.path, this.home);
    await this.#told("there");
  }

  async #told(where: "gone" | "there"): Promise<void> {
    const told = `share/${this.name} is ${where}`;
    await waitFor(
      () => `the log does not say that ${told}:\n${this.world.gate.tail()}`,
      () => this.world.gate.recentLog.includes(told),
    );
  }
}
