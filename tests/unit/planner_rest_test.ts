/**
 * Any producers, write-only ones, and those who are away for a while: whatever is done to one path, the planner comes to
 * rest. Then nothing is lost that nobody deleted, and all have the same.
 */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { TRAVELLING_MODE } from "../../src/gate/replica_record.ts";
import type { Place } from "../support/planner_disk.ts";
import type { PlannerModel } from "../support/planner_model.ts";
import {
  type Operation,
  operationsExcept,
  operationsOf,
  Scenario,
} from "../support/planner_operations.ts";
import { runs } from "../support/size.ts";

interface Roles {
  readonly producers: number;
  readonly diodes: number;
}

const ROLES: readonly Roles[] = [0, 1, 2, 3]
  .flatMap((producers) => [0, 1, 2].map((diodes) => ({ producers, diodes })))
  .filter(({ producers, diodes }) => producers + diodes > 0);

/** What is done, and what is to hold when all is quiet again. */
interface Property {
  readonly operations: fc.Arbitrary<readonly Operation[]>;
  readonly conflictCopies?: fc.Arbitrary<boolean>;
  readonly runs: number;
  readonly check: (model: PlannerModel, scenario: Scenario) => void;
}

function always({ producers, diodes }: Roles, property: Property): void {
  const setting = fc.record({
    producers: fc.constant(producers),
    diodes: fc.constant(diodes),
    infectedAction: fc.constantFrom("log", "delete"),
    conflictCopies: property.conflictCopies ?? fc.boolean(),
  });
  fc.assert(
    fc.property(setting, property.operations, (setting, operations) => {
      const scenario = new Scenario(setting);
      try {
        for (const operation of operations) scenario.perform(operation);
        scenario.end();
        property.check(scenario.model, scenario);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`${message}\n${scenario}`, { cause: error });
      }
    }),
    runs(property.runs, 25 * property.runs),
  );
}

/** Long ones are as likely as short ones. */
const sequences = (operation: fc.Arbitrary<Operation>) =>
  fc.array(operation, { maxLength: 16, size: "max" });

const anything = sequences(operationsExcept());

/** Malware may take the place of what is clean; who has lost its memory cannot tell what is new. */
const nothingForgotten = sequences(
  operationsExcept("malware", "ignoring", "lostIndex", "newExport", "newShares"),
);

/** Nor does anything stay where it is, and only guests change something. */
const onlyTravelling = sequences(
  operationsExcept(
    "malware",
    "unscannable",
    "obstacles",
    "ignoring",
    "host",
    "links",
    "lostIndex",
    "newExport",
    "newShares",
  ),
);

/** Once there is a directory, nothing is removed or replaced but by another one. */
const onlyDirectories = fc.tuple(
  operationsOf("directories"),
  sequences(operationsOf("directories", "absences", "looks")),
).map(([first, others]) => [first, ...others]);

for (const roles of ROLES) {
  const title = `with ${roles.producers} producers and ${roles.diodes} write-only ones`;

  Deno.test(`I6: ${title} every path comes to rest, and further looks change nothing`, () => {
    always(roles, {
      operations: anything,
      runs: 4_000,
      check: (model) => {
        const before = model.state();
        model.settle({ retryHeld: true });
        model.settle();
        assertEquals(model.state(), before);
      },
    });
  });

  Deno.test(`${title} a write-only producer's place is never changed`, () => {
    always(roles, {
      operations: anything,
      runs: 1_000,
      check: ({ diodeChanges }) => assertEquals(diodeChanges, []),
    });
  });

  Deno.test(`I3: ${title} what is clean, and nobody gave up, is somewhere`, () => {
    always(roles, {
      operations: nothingForgotten,
      conflictCopies: fc.constant(true),
      runs: 4_000,
      check: (model, { valid }) => {
        assertEquals([...valid].filter((content) => !model.isSomewhere(content)), []);
      },
    });
  });

  Deno.test(`I3: ${title} in the end the producers and the export are equal`, () => {
    always(roles, {
      operations: onlyTravelling,
      runs: 4_000,
      check: ({ places }) => {
        const [first, ...others] = places.filter(({ role }) => role !== "diode").map(travelling);
        for (const other of others) assertEquals(other, first);
      },
    });
  });

  Deno.test(`I3: ${title} a directory that nobody removed is everywhere`, () => {
    always(roles, {
      operations: onlyDirectories,
      runs: 1_000,
      check: ({ places }) => {
        const lacking = places.filter(({ role, directory }) =>
          role !== "diode" && directory === undefined
        );
        assertEquals(lacking, []);
      },
    });
  });
}

/** What others get of what is there. A directory's own times say nothing. */
function travelling({ file, directory }: Place): unknown {
  const inode = file ?? directory;
  if (inode === undefined) return undefined;
  const permissions = inode.status.mode & TRAVELLING_MODE;
  if (inode.kind === "directory") return { permissions };
  return { permissions, content: inode.content, mtimeNs: inode.status.mtimeNs };
}
