/** Whatever is seen and known of one path, the planner keeps its hands off some places. */

// @ts-types="../support/assert.d.ts"
import { assert } from "@std/assert";
import fc from "fast-check";
import { plan } from "../../src/gate/planning/planner.ts";
import type { Observation, Seen, Step } from "../../src/gate/planning/situation.ts";
import { type IndexEntry, recordOf, type ReplicaId } from "../../src/gate/replica_record.ts";
import { runs } from "../support/size.ts";

const ROLES = ["export", "producer", "producer", "diode", "diode"] as const;
const KINDS = ["absent", "file", "directory", "obstacle"] as const;

const status = fc.record({
  mode: fc.constant(0o644),
  uid: fc.constant(1000),
  gid: fc.constant(1000),
  links: fc.constantFrom(1, 2),
  device: fc.constant(1),
  mountId: fc.constant(1),
  inode: fc.integer({ min: 1, max: 3 }),
  size: fc.nat(2),
  blocks: fc.constant(8),
  mtimeNs: fc.bigInt({ min: 1n, max: 3n }),
  ctimeNs: fc.bigInt({ min: 1n, max: 3n }),
});

const seldom = fc.constantFrom(true, false, false, false, false);

/** What one replica has, and what is known of it: often just that. */
const place = fc.record({
  status,
  kind: fc.constantFrom(...KINDS),
  isBlocked: seldom,
  isPostponed: seldom,
  isJudged: fc.boolean(),
  known: fc.option(fc.record({
    isAsSeen: fc.boolean(),
    kind: fc.constantFrom("file" as const, "directory" as const),
    status: fc.constantFrom(
      "current" as const,
      "held" as const,
      "infected" as const,
      "own" as const,
    ),
    version: fc.nat(2),
  })),
});

const situation = fc.record({
  places: fc.tuple(place, place, place, place, place),
  /** Files of that name are. */
  isIgnored: seldom,
  deleted: fc.boolean(),
  version: fc.nat(2),
  conflictCopies: fc.boolean(),
  retryHeld: fc.boolean(),
  infectedStays: fc.boolean(),
  orphansMayGo: fc.boolean(),
  directoryStays: fc.boolean(),
  unchangedSinceExport: fc.boolean(),
  equal: fc.option(fc.boolean(), { nil: undefined, freq: 1 }),
});

interface Planned {
  readonly step: Step;
  readonly observations: readonly Observation[];
}

function planned(
  { places, isIgnored, deleted, version, equal, directoryStays, unchangedSinceExport, ...options }:
    Situation,
): Planned {
  const observations = places.map(({ status, kind, isBlocked }, replica): Observation => {
    const role = ROLES[replica] ?? "export";
    const ignored = role === "export" ? "obstacle" : "ignored";
    const seenAs = isIgnored && kind === "file" ? ignored : kind;
    const seen: Seen = seenAs === "absent" || isBlocked
      ? { kind: "absent" }
      : { kind: seenAs, status: { ...status, kind: kindOf(kind) } };
    return { replica, role, seen, isBlocked };
  });
  const records = places.flatMap(({ status, kind, known }, replica) => {
    if (known === null) return [];
    const was = known.isAsSeen && kind === "directory" ? kind : known.kind;
    const inode = known.isAsSeen ? status.inode : status.inode + 10;
    return [recordOf(replica, { ...status, inode, kind: was }, known.status, known.version)];
  });
  const entry: IndexEntry = { version, deleted, records };
  const postponed = new Set(places.keys().filter((id) => places[id]?.isPostponed));
  const judged = new Set(places.keys().filter((id) => places[id]?.isJudged));
  const findings = { postponed, directoryStays, unchangedSinceExport, judged, equal: () => equal };
  return { step: plan(observations, entry, findings, { ...options, nowNs: 10n }), observations };
}

type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

const kindOf = (kind: typeof KINDS[number]) => kind === "directory" ? kind : "file";

/** Where the step puts something, or takes it away. */
function changedBy(step: Step): readonly ReplicaId[] {
  switch (step.kind) {
    case "offer":
      return [...step.targets, ...step.setAside];
    case "distribute":
    case "make-directory":
      return step.targets;
    case "remove":
    case "remove-directory":
      return step.replicas;
    case "set-aside":
      return [step.replica];
    case "settled":
    case "judge":
    case "compare":
    case "adopt":
    case "forget":
      return [];
  }
}

function always(holds: (planned: Planned) => boolean): void {
  fc.assert(fc.property(situation, (one) => assert(holds(planned(one)))), runs(20_000));
}

Deno.test("a write-only producer receives nothing and loses nothing", () => {
  always(({ step }) => changedBy(step).every((id) => ROLES[id] !== "diode"));
});

Deno.test("a write-only producer overwrites nothing: what it has goes only where nothing is, nor in the way", () => {
  always(({ step, observations }) => {
    const from = step.kind === "offer"
      ? step.author
      : step.kind === "make-directory"
      ? step.model
      : 0;
    if (ROLES[from] !== "diode") return true;
    return changedBy(step).every((id) => {
      const { seen, isBlocked } = observations[id] ?? {};
      return seen?.kind === "absent" && isBlocked === false;
    });
  });
});

Deno.test("I3: nothing is put in an ignored file's place, nor is it removed", () => {
  always(({ step, observations }) =>
    changedBy(step).every((id) => observations[id]?.seen.kind !== "ignored")
  );
});

Deno.test("these situations lead to steps of most kinds", () => {
  const kinds = new Set<string>();
  always(({ step }) => kinds.add(step.kind).size > 0);
  assert(kinds.size >= 8, [...kinds].join(", "));
});
