/** What the daemon is asked to do about one path, from a known state, with what must come out of it. */

import { ERRNO } from "../../../ffi/errno.ts";
import type { InfectedAction } from "../../../src/gate/config/channel_config.ts";
import type { GuestTree } from "./guest_tree.ts";
import { intercept } from "./libc_hook.ts";
import type { Workbench } from "./workbench.ts";

export interface Stage {
  readonly bench: Workbench;
  readonly ann: GuestTree;
  readonly bob: GuestTree;
  readonly top: string;
}

export interface Scenario {
  readonly name: string;
  readonly action?: InfectedAction;
  /** Makes the state that is known before. */
  arrange(stage: Stage): Promise<void> | void;
  /** What the guests do then; the daemon looks at `path` afterwards. */
  change(stage: Stage): void;
  /** Below `top`. */
  readonly path: string;
  /** Clean contents that nobody has given up. */
  readonly survivors: readonly string[];
  /** What must not come back if guests do nothing else. */
  readonly gone?: readonly string[];
  /** Whatever ann then does to the file is a change or deletion of her own, which ends that promise. */
  readonly untilAnnActs?: true;
}

const FILE = "mid/file";

function known(content: string) {
  return async ({ bench, ann, top }: Stage): Promise<void> => {
    ann.write(`${top}/${FILE}`, content);
    await bench.settle();
  };
}

async function knownDirectory({ bench, ann, top }: Stage): Promise<void> {
  ann.makeDirectory(`${top}/${FILE}`);
  await bench.settle();
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a new file in a known directory",
    arrange: async ({ bench, ann, top }) => {
      ann.makeDirectory(`${top}/mid`);
      await bench.settle();
    },
    change: ({ ann, top }) => ann.write(`${top}/${FILE}`, "new", 10),
    path: FILE,
    survivors: ["new"],
  },
  {
    name: "a new file in new directories",
    arrange: () => {},
    change: ({ ann, top }) => ann.write(`${top}/${FILE}`, "new", 10),
    path: FILE,
    survivors: ["new"],
  },
  {
    name: "the same new file in two shares",
    arrange: () => {},
    change: ({ ann, bob, top }) => {
      ann.write(`${top}/${FILE}`, "of both", 10);
      bob.write(`${top}/${FILE}`, "of both", 10);
    },
    path: FILE,
    survivors: ["of both"],
  },
  {
    name: "a new version of a file",
    arrange: known("first"),
    change: ({ ann, top }) => ann.write(`${top}/${FILE}`, "second version", 10),
    path: FILE,
    survivors: ["second version"],
    gone: ["first"],
  },
  {
    name: "a deletion",
    arrange: known("first"),
    change: ({ ann, top }) => ann.remove(`${top}/${FILE}`),
    path: FILE,
    survivors: [],
    gone: ["first"],
  },
  {
    name: "malware under a new name",
    arrange: ({ ann, top }) => ann.makeDirectory(`${top}/mid`),
    change: ({ ann, top }) => ann.infect(`${top}/${FILE}`),
    path: FILE,
    survivors: [],
  },
  {
    name: "malware in place of a known file",
    arrange: known("first"),
    change: ({ ann, top }) => ann.infect(`${top}/${FILE}`),
    path: FILE,
    survivors: ["first"],
    untilAnnActs: true,
  },
  {
    name: "malware that goes to quarantine",
    action: "quarantine",
    arrange: known("first"),
    change: ({ ann, top }) => ann.infect(`${top}/${FILE}`),
    path: FILE,
    survivors: ["first"],
    untilAnnActs: true,
  },
  {
    name: "malware that stays with its author",
    action: "log",
    arrange: known("first"),
    change: ({ ann, top }) => ann.infect(`${top}/${FILE}`),
    path: FILE,
    survivors: ["first"],
    untilAnnActs: true,
  },
  {
    name: "a new version over malware that stays",
    action: "log",
    arrange: async (stage) => {
      await known("first")(stage);
      stage.ann.infect(`${stage.top}/${FILE}`);
      await stage.bench.settle();
    },
    change: ({ bob, top }) => bob.write(`${top}/${FILE}`, "second version", 10),
    path: FILE,
    survivors: ["second version"],
    gone: ["first"],
  },
  {
    name: "malware that stays is made clean",
    action: "log",
    arrange: async (stage) => {
      await known("first")(stage);
      stage.ann.infect(`${stage.top}/${FILE}`);
      await stage.bench.settle();
    },
    change: ({ ann, top }) => ann.write(`${top}/${FILE}`, "clean again", 10),
    path: FILE,
    survivors: ["clean again"],
    gone: ["first"],
  },
  {
    name: "changes on two sides",
    arrange: known("first"),
    change: ({ ann, bob, top }) => {
      ann.write(`${top}/${FILE}`, "the later change", 20);
      bob.write(`${top}/${FILE}`, "the earlier one", 10);
    },
    path: FILE,
    survivors: ["the later change", "the earlier one"],
    gone: ["first"],
  },
  {
    name: "an older change of a version that had been replaced",
    arrange: async (stage) => {
      const { bench, ann, bob, top } = stage;
      await known("first")(stage);
      ann.write(`${top}/${FILE}`, "second version", 20);
      // The second version does not reach bob.
      intercept({ before: (name) => name === "renameat2" ? ERRNO.EIO : undefined });
      await bench.run(`${top}/${FILE}`);
      intercept(undefined);
      bob.write(`${top}/${FILE}`, "made from the first", 10);
    },
    change: () => {},
    path: FILE,
    survivors: ["second version", "made from the first"],
    gone: ["first"],
  },
  {
    name: "a file on one side, a directory on the other",
    arrange: ({ ann, top }) => ann.makeDirectory(`${top}/mid`),
    change: ({ ann, bob, top }) => {
      ann.write(`${top}/${FILE}`, "beside a directory", 10);
      bob.write(`${top}/${FILE}/inside`, "in the directory", 10);
    },
    path: FILE,
    survivors: ["beside a directory", "in the directory"],
  },
  {
    name: "a file where a directory was",
    arrange: knownDirectory,
    change: ({ ann, top }) => {
      ann.remove(`${top}/${FILE}`);
      ann.write(`${top}/${FILE}`, "new", 10);
    },
    path: FILE,
    survivors: ["new"],
  },
  {
    name: "a directory where a file was",
    arrange: known("first"),
    change: ({ ann, top }) => {
      ann.remove(`${top}/${FILE}`);
      ann.makeDirectory(`${top}/${FILE}`);
    },
    path: FILE,
    survivors: [],
  },
  {
    name: "a link where a file was",
    arrange: known("first"),
    change: ({ ann, top }) => {
      ann.remove(`${top}/${FILE}`);
      ann.link(`${top}/${FILE}`, "../elsewhere");
    },
    path: FILE,
    survivors: [],
  },
  {
    name: "a new directory",
    arrange: ({ ann, top }) => ann.makeDirectory(`${top}/mid`),
    change: ({ ann, top }) => ann.makeDirectory(`${top}/${FILE}`),
    path: FILE,
    survivors: [],
  },
  {
    name: "a directory gets other permissions",
    arrange: knownDirectory,
    change: ({ ann, top }) => Deno.chmodSync(ann.at(`${top}/${FILE}`), 0o700),
    path: FILE,
    survivors: [],
  },
  {
    name: "a directory gets other permissions in the second share",
    arrange: knownDirectory,
    change: ({ bob, top }) => Deno.chmodSync(bob.at(`${top}/${FILE}`), 0o700),
    path: FILE,
    survivors: [],
  },
  {
    name: "a directory is removed",
    arrange: knownDirectory,
    change: ({ ann, top }) => ann.remove(`${top}/${FILE}`),
    path: FILE,
    survivors: [],
    gone: ["first"],
  },
];

/** Each needs a workbench of its own. */
export const ACTIONS = ["delete", "quarantine", "log"] as const satisfies InfectedAction[];

export function scenariosOf(action: InfectedAction): readonly Scenario[] {
  return SCENARIOS.filter((scenario) => (scenario.action ?? "delete") === action);
}
