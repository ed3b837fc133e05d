/** What guests, the host and the circumstances do to one path, and what of it nobody gave up. */

import fc from "fast-check";
import { UNKNOWN_ENTRY } from "../../src/gate/replica_record.ts";
import type { Hindrance, Place } from "./planner_disk.ts";
import { MALWARE, PlannerModel, type Setting, show, UNSCANNABLE } from "./planner_model.ts";

/** `same` is the same whoever writes it; `clean` is like nothing before. */
type Content = "empty" | "same" | "clean" | "malware" | "unscannable";

/** Each kind for itself, so that a `switch` tells them apart. */
type Simple<K extends string> = K extends K ? { readonly kind: K } : never;

/** In one replica: 0 is the export, and guests are counted from 1 on, over and over. */
type Local<K extends string, More = unknown> = K extends K
  ? { readonly kind: K; readonly at: number } & More
  : never;

/** Something is put in the path's place. */
type Making =
  | Local<"write" | "overwrite", { readonly content: Content; readonly mtimeNs: bigint }>
  | Local<"make directory", { readonly isFull: boolean }>
  | Local<"make obstacle">
  | Local<"link", { readonly to: number }>;

type LocalOperation =
  | Making
  | Local<"remove" | "restore" | "renew" | "block" | "no longer block">
  | Local<"go away" | "come back" | "change role">
  | Local<"change mode", { readonly mode: number }>
  | Local<"hinder", { readonly hindrance: Hindrance }>
  | Local<"no longer hinder">;

export type Operation =
  | LocalOperation
  | Simple<"no scanner" | "scanner" | "ignore" | "no longer ignore" | "lose index">
  | Simple<"settle" | "retry">
  | Simple<"steps"> & { readonly count: number };

const EXPORT = 0;
const exported = fc.constant(EXPORT);
/** As many guests as there are at most. */
const guest = fc.integer({ min: 1, max: 5 });
const anybody = fc.nat(5);
const mtimeNs = fc.constantFrom(1n, 2n, 3n, 9_000_000n);
const mode = fc.constantFrom(0o600, 0o755, 0o4644);

const writes = (at: fc.Arbitrary<number>, ...contents: Content[]): fc.Arbitrary<Operation> =>
  fc.record({
    kind: fc.constantFrom("write", "write", "write", "overwrite"),
    at,
    content: fc.constantFrom(...contents),
    mtimeNs,
  });

const directories = (at: fc.Arbitrary<number>): fc.Arbitrary<Operation> =>
  fc.record({ kind: fc.constant("make directory"), at, isFull: fc.boolean() });

const modes = (at: fc.Arbitrary<number>): fc.Arbitrary<Operation> =>
  fc.record({ kind: fc.constant("change mode"), at, mode });

/** By what a property may leave out. */
const GROUPS = {
  writes: { weight: 6, arbitrary: writes(guest, "empty", "same", "clean", "clean") },
  malware: { weight: 2, arbitrary: writes(guest, "malware") },
  unscannable: { weight: 1, arbitrary: writes(guest, "unscannable") },
  directories: { weight: 3, arbitrary: directories(guest) },
  removals: { weight: 4, arbitrary: fc.record({ kind: fc.constant("remove"), at: guest }) },
  restorations: { weight: 1, arbitrary: fc.record({ kind: fc.constant("restore"), at: guest }) },
  obstacles: { weight: 1, arbitrary: fc.record({ kind: fc.constant("make obstacle"), at: guest }) },
  modes: { weight: 2, arbitrary: modes(guest) },
  host: {
    weight: 4,
    arbitrary: fc.oneof(
      writes(exported, "empty", "same", "clean"),
      directories(exported),
      modes(exported),
      fc.record({ kind: fc.constantFrom("remove", "make obstacle"), at: exported }),
    ),
  },
  links: {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("link"), at: anybody, to: anybody }),
  },
  absences: {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("go away", "come back"), at: guest }),
  },
  hindrances: {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({
        kind: fc.constant("hinder"),
        at: anybody,
        hindrance: fc.constantFrom("read", "put", "change"),
      }),
      fc.record({ kind: fc.constant("no longer hinder"), at: anybody }),
    ),
  },
  blocks: {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("block", "no longer block"), at: guest }),
  },
  scanner: {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("no scanner", "scanner", "retry") }),
  },
  roles: { weight: 2, arbitrary: fc.record({ kind: fc.constant("change role"), at: guest }) },
  ignoring: {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("ignore", "no longer ignore") }),
  },
  lostIndex: { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose index") }) },
  newExport: { weight: 1, arbitrary: fc.record({ kind: fc.constant("renew"), at: exported }) },
  newShares: { weight: 1, arbitrary: fc.record({ kind: fc.constant("renew"), at: guest }) },
  looks: {
    weight: 11,
    arbitrary: fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("settle") }) },
      // The daemon is stopped in the middle, or something is done meanwhile.
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("steps"), count: fc.nat(5) }) },
    ),
  },
} satisfies Record<string, fc.WeightedArbitrary<Operation>>;

type Group = keyof typeof GROUPS;

export const operationsOf = (...groups: readonly Group[]) => operations(groups, true);

export const operationsExcept = (...groups: readonly Group[]) => operations(groups, false);

function operations(groups: readonly string[], areChosen: boolean): fc.Arbitrary<Operation> {
  const chosen = Object.entries(GROUPS).filter(([name]) => groups.includes(name) === areChosen);
  return fc.oneof(...chosen.map(([, group]): fc.WeightedArbitrary<Operation> => group));
}

/** A sequence of operations on a path, and what the planner does meanwhile. */
export class Scenario {
  readonly model: PlannerModel;
  /** Clean content of guests that nobody removed or replaced. */
  readonly valid = new Set<string>();
  readonly #setting: Setting;
  /** Turned into text only for whoever reads it. */
  readonly #events: { readonly kind: string }[] = [];
  #contents = 0;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.model = new PlannerModel(setting, (step) => this.#events.push(step));
  }

  /** All that happened, for the message of a failed test. */
  toString(): string {
    const { copies, entry, places } = this.model;
    return [
      show(this.#setting),
      ...this.#events.map(show),
      ...places.map(show),
      `index ${show(entry)}`,
      `copies ${show(copies)}, valid ${show(this.valid)}`,
    ].join("\n");
  }

  perform(operation: Operation): void {
    const { model } = this;
    this.#events.push(operation);
    switch (operation.kind) {
      case "no scanner":
      case "scanner":
        model.hasScanner = operation.kind === "scanner";
        return;
      case "ignore":
      case "no longer ignore":
        model.isIgnored = operation.kind === "ignore";
        return;
      case "lose index":
        model.entry = UNKNOWN_ENTRY;
        return;
      case "settle":
      case "retry":
        return model.settle({ retryHeld: operation.kind === "retry" });
      case "steps":
        return model.steps(operation.count);
      default:
        return this.#performAt(this.#place(operation.at), operation);
    }
  }

  /** Nothing is in the way any more, and the planner does what is left to do. */
  end(): void {
    const { model } = this;
    model.hasScanner = true;
    model.isIgnored = false;
    for (const place of model.places) {
      place.isAway = place.isBlocked = false;
      place.hindrances.clear();
    }
    this.#events.push({ kind: "everybody is back" });
    model.settle({ retryHeld: true });
    model.settle();
  }

  #place(at: number): Place {
    const { exported, guests } = this.model;
    return (at === EXPORT ? undefined : guests[(at - 1) % guests.length]) ?? exported;
  }

  #performAt(place: Place, operation: LocalOperation): void {
    const { disk } = this.model;
    switch (operation.kind) {
      case "hinder":
        place.hindrances.add(operation.hindrance);
        return;
      case "no longer hinder":
        return place.hindrances.clear();
      case "go away":
      case "come back":
        place.isAway = operation.kind === "go away";
        return;
      case "change role":
        place.role = place.role === "diode" ? "producer" : "diode";
        return;
      case "change mode":
        if (place.inode !== undefined) disk.changeMode(place.inode, operation.mode);
        return;
      case "remove":
        return this.#giveUp(place);
      case "restore":
        return this.#restore(place);
      case "renew":
        return this.#renew(place);
      case "block":
        this.#giveUp(place);
        place.isBlocked = true;
        return;
      case "no longer block":
        place.isBlocked = false;
        return;
      default:
        return this.#make(place, operation);
    }
  }

  #make(place: Place, operation: Making): void {
    const { disk } = this.model;
    const target = operation.kind === "link" ? this.#place(operation.to) : place;
    if (target.isBlocked) return;
    switch (operation.kind) {
      case "link":
        if (place.file === undefined || place.file === target.file) return;
        this.#giveUp(target);
        return disk.link(place.file, target);
      case "make directory":
        this.#giveUp(place);
        return disk.makeDirectory(place, { isFull: operation.isFull });
      case "make obstacle":
        this.#giveUp(place);
        return disk.makeObstacle(place);
      case "write":
        this.#giveUp(place);
        disk.write(place, this.#text(operation.content, place), operation.mtimeNs);
        return;
      case "overwrite": {
        const { file } = place;
        if (file === undefined) return;
        this.valid.delete(file.content);
        disk.overwrite(file, this.#text(operation.content, place), operation.mtimeNs);
      }
    }
  }

  #text(content: Content, author: Place): string {
    switch (content) {
      case "empty":
        return "";
      case "same":
        return "same";
      case "malware":
        return MALWARE + this.#contents++;
      case "unscannable":
        return UNSCANNABLE + this.#contents++;
      case "clean": {
        const text = `c${this.#contents++}`;
        // What the host writes into the export is nobody's.
        if (author.role !== "export") this.valid.add(text);
        return text;
      }
    }
  }

  /** Whoever removes or replaces something does not want it any more. */
  #giveUp(place: Place): void {
    if (place.file !== undefined) this.valid.delete(place.file.content);
    this.model.disk.remove(place);
  }

  /** Another file that is the same in all that travels comes in the place of what is there: from a backup, say. */
  #restore(place: Place): void {
    const { file } = place;
    if (file === undefined) return;
    const { mtimeNs, mode } = file.status;
    this.model.disk.write(place, file.content, mtimeNs, mode);
  }

  #renew(place: Place): void {
    this.#giveUp(place);
    this.model.renew(place);
    if (place.role !== "export") this.model.hasNewShare = true;
  }
}
