/** Plays scenarios on a workbench and looks whether every promise holds at the end. */

import { SystemError } from "../../../ffi/errno.ts";
import { Canary, CANARY_CONTENT } from "./canary.ts";
import { EICAR_TEXT, GuestTree } from "./guest_tree.ts";
import { intercept } from "./libc_hook.ts";
import type { InfectedAction } from "../../../src/gate/config/channel_config.ts";
import { ACTIONS, type Scenario, scenariosOf, type Stage } from "./scenarios.ts";
import type { Swap } from "./swaps.ts";
import { type ShareName, Workbench } from "./workbench.ts";

/** Not calls of the daemon's work on files. */
const NO_BOUNDARIES: ReadonlySet<string> = new Set(["close", "read", "inotify_add_watch"]);

/** Thrown by every system call after the daemon's death; no `Error`, so that nobody takes it for a failure. */
const DEATH = Symbol("the daemon has died");

export interface Attack {
  readonly scenario: Scenario;
  readonly swap: Swap;
  readonly victim: ShareName;
  readonly swapAt: number;
  readonly deathAt?: number;
}

interface Interruptions {
  readonly swapAt?: number;
  readonly swap?: () => void;
  readonly deathAt?: number;
  /** The errno with which the system call number `at` fails, if it is to. */
  readonly refuse?: (name: string, at: number) => number | undefined;
}

interface Play {
  /** The names of the system calls that were made. */
  readonly calls: readonly string[];
  readonly died: boolean;
}

export class Theatre implements Disposable {
  readonly canary: Canary;
  readonly base: string;
  readonly places: Readonly<Record<ShareName | "export", GuestTree>>;
  #bench: Workbench | undefined;
  #plays = 0;

  /** On a file system that can clone. */
  constructor(mountPoint: string, private readonly action: InfectedAction) {
    this.base = `${mountPoint}/base-${action}`;
    this.canary = new Canary(`${mountPoint}/outside-${action}`);
    Workbench.prepare(this.base);
    this.places = {
      ann: new GuestTree(`${this.base}/share/ann`),
      bob: new GuestTree(`${this.base}/share/bob`),
      export: new GuestTree(`${this.base}/export`),
    };
  }

  get bench(): Workbench {
    return this.#bench ??= new Workbench(this.base, this.action);
  }

  /** Sets the scene in a directory of its own. */
  async arrange(scenario: Scenario): Promise<Stage> {
    const { ann, bob } = this.places;
    const stage = { bench: this.bench, ann, bob, top: `play-${this.#plays++}` };
    await scenario.arrange(stage);
    this.bench.commit();
    scenario.change(stage);
    return stage;
  }

  /** The system calls of a scenario in which nobody interferes. */
  async rehearse(scenario: Scenario): Promise<readonly string[]> {
    const { calls } = await this.play(await this.arrange(scenario), scenario);
    await this.faults([]);
    this.clear();
    return calls;
  }

  /** Plays a scenario with a swap, and perhaps with the daemon's death; what is not as promised afterwards. */
  async attack(
    { scenario, swap, victim, swapAt, deathAt = Infinity }: Attack,
  ): Promise<readonly string[]> {
    const stage = await this.arrange(scenario);
    const guest = this.places[victim];
    const afterwards: (() => void)[] = [];
    const made: string[] = [];
    const destroyed = new Set<string>();
    const act = (what: () => void) => {
      const before = fileContents(guest);
      what();
      for (const gone of before.difference(fileContents(guest))) destroyed.add(gone);
    };
    const perform = () => {
      try {
        const scene = { guest, top: stage.top, outside: this.canary.path, afterwards };
        made.push(...swap.perform(scene));
      } catch {
        // There is nothing (any more) that could be swapped.
      }
    };
    await this.play(stage, scenario, { swapAt, swap: () => act(perform), deathAt });
    for (const rest of afterwards) act(rest);
    const isGivenUp = scenario.untilAnnActs === true && victim === "ann";
    const survivors = [...(isGivenUp ? [] : scenario.survivors), ...made];
    const faults = await this.faults(survivors.filter((one) => !destroyed.has(one)));
    this.clear();
    const death = deathAt === Infinity ? "" : `, death before call ${deathAt}`;
    const what =
      `${scenario.name}; before call ${swapAt}, in ${victim}'s share, ${swap.name}${death}`;
    return faults.map((fault) => `${what}: ${fault}`);
  }

  /**
   * The daemon works on the scene. A swap happens before its system call number `swapAt`, death before number
   * `deathAt`, counted from 0.
   */
  async play(
    { bench, top }: Stage,
    { path }: Scenario,
    { swapAt = Infinity, deathAt = Infinity, swap, refuse }: Interruptions = {},
  ): Promise<Play> {
    const calls: string[] = [];
    let died = false;
    const index = new IndexFiles(this.base);
    intercept({
      before: (name) => {
        if (NO_BOUNDARIES.has(name)) return undefined;
        if (died) throw DEATH;
        if (calls.length === swapAt) swap?.();
        if (calls.length === deathAt) {
          died = true;
          index.keep();
          throw DEATH;
        }
        calls.push(name);
        return refuse?.(name, calls.length - 1);
      },
    });
    try {
      await bench.run(`${top}/${path}`);
    } catch (error) {
      // A refusal that is thrown is for the channel, which looks again.
      const isRefusal = refuse !== undefined && error instanceof SystemError;
      if (error !== DEATH && !isRefusal) throw error;
    } finally {
      intercept(undefined);
    }
    if (died) {
      await bench.abandon();
      index.putBack();
      this.#bench = undefined;
    }
    return { calls, died };
  }

  /** Lets everything come to rest, and says in words what is not as promised. */
  async faults(survivors: readonly string[], gone: readonly string[] = []): Promise<string[]> {
    await this.bench.settle();
    const { ann, bob, export: exported } = this.places;
    const faults = this.canary.disturbances();
    if (this.action === "log") {
      for (const place of [ann, bob, exported]) faults.push(...removeOwnMalware(place));
      await this.bench.settle();
    }
    const trees = [ann, bob, exported].map((place) => place.contents());
    const everything = trees.flatMap((tree) => [...tree.values()]);
    for (const [index, tree] of trees.slice(1).entries()) {
      faults.push(...differences(trees[0] ?? new Map(), tree, ["bob", "export"][index] ?? ""));
    }
    for (const survivor of survivors) {
      if (!everything.some((content) => content.endsWith(`: ${survivor}`))) {
        faults.push(`I3: lost: ${survivor}`);
      }
    }
    for (const ghost of gone) {
      if (everything.some((content) => content.endsWith(`: ${ghost}`))) {
        faults.push(`I3: came back: ${ghost}`);
      }
    }
    if (everything.some((content) => content.includes(EICAR_TEXT))) {
      faults.push("I1: malware stays");
    }
    if (everything.some((content) => content.includes(CANARY_CONTENT))) {
      faults.push("I2: the canary was copied");
    }
    for (const name of ["staging", ".virtiofs-gate/recovery"]) {
      const left = [...Deno.readDirSync(`${this.base}/${name}`)].map((entry) => entry.name)
        .filter((entry) => entry !== "journal");
      if (left.length > 0) faults.push(`${name} holds ${left}`);
    }
    const unexpected = this.bench.troubles.filter((trouble) => trouble.includes("unexpected"));
    return [...faults, ...unexpected];
  }

  /** Removes everything, so that the next play begins with empty shares. */
  clear(): void {
    this.bench.troubles.length = 0;
    for (const place of Object.values(this.places)) {
      for (const { name } of Deno.readDirSync(place.root)) place.remove(name);
    }
  }

  [Symbol.dispose](): void {
    intercept(undefined);
    this.#bench?.close();
    this.canary[Symbol.dispose]();
  }
}

/** Every scenario on a theatre of its action, with the system calls that it takes if nobody interferes. */
export async function* rehearsals(
  mountPoint: string,
): AsyncGenerator<{ theatre: Theatre; scenario: Scenario; calls: readonly string[] }> {
  for (const action of ACTIONS) {
    using theatre = new Theatre(mountPoint, action);
    for (const scenario of scenariosOf(action)) {
      yield { theatre, scenario, calls: await theatre.rehearse(scenario) };
    }
  }
}

function fileContents(guest: GuestTree): ReadonlySet<string> {
  return new Set([...guest.contents().values()].map((line) => line.slice(line.indexOf(": ") + 2)));
}

/** What its author does who hears of it; malware of others is a fault. */
function removeOwnMalware(place: GuestTree): string[] {
  const faults: string[] = [];
  for (const [path, content] of place.contents()) {
    if (!content.includes(EICAR_TEXT)) continue;
    if (place.isOwnMalware(content)) place.remove(path);
    else faults.push(`I1: malware travelled to ${place.root}`);
  }
  return faults;
}

function differences(
  left: ReadonlyMap<string, string>,
  right: ReadonlyMap<string, string>,
  name: string,
): string[] {
  const paths = new Set([...left.keys(), ...right.keys()]);
  return [...paths].filter((path) => left.get(path) !== right.get(path)).map((path) =>
    `I3: ${path} is ${left.get(path) ?? "nothing"} in ann, ${
      right.get(path) ?? "nothing"
    } in ${name}`
  );
}

/** What a killed process leaves of the index. */
class IndexFiles {
  readonly #folder: string;
  readonly #kept = new Map<string, Uint8Array<ArrayBuffer>>();

  constructor(base: string) {
    this.#folder = `${base}/.virtiofs-gate`;
  }

  keep(): void {
    for (const name of this.#names()) {
      // The -shm file is made anew from the log.
      if (!name.endsWith("-shm")) {
        this.#kept.set(name, Deno.readFileSync(`${this.#folder}/${name}`));
      }
    }
  }

  putBack(): void {
    for (const name of this.#names()) Deno.removeSync(`${this.#folder}/${name}`);
    for (const [name, content] of this.#kept) {
      Deno.writeFileSync(`${this.#folder}/${name}`, content);
    }
  }

  #names(): string[] {
    return [...Deno.readDirSync(this.#folder)].map(({ name }) => name)
      .filter((name) => name.startsWith("index.sqlite"));
  }
}
