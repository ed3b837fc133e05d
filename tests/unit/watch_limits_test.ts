/** The kernel's own limits for inotify, reached in a user namespace: nothing is lost, and everybody is told why. */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertMatch } from "@std/assert";
import { must } from "../support/command.ts";
import { hasProgram } from "../support/prerequisites.ts";
import type { LimitedWatch } from "../support/limited_watch.ts";

const PROGRAM = new URL("../support/limited_watch.ts", import.meta.url).pathname;
const IN_NAMESPACE = ["--user", "--map-root-user"];

const reason = obstacle();

function obstacle(): string | undefined {
  if (!hasProgram("unshare")) return "needs unshare (util-linux)";
  const { success } = new Deno.Command("unshare", {
    args: [...IN_NAMESPACE, "sh", "-c", "echo 5 > /proc/sys/user/max_inotify_watches"],
    stderr: "null",
  }).outputSync();
  return success ? undefined : "needs user namespaces";
}

async function watchWithLimit(limit: "watches" | "instances"): Promise<LimitedWatch> {
  const program = [Deno.execPath(), "run", "-A", "--no-prompt", PROGRAM, limit];
  const output = await must("unshare", [...IN_NAMESPACE, ...program]);
  return JSON.parse(new TextDecoder().decode(output));
}

function define(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: reason === undefined ? name : `${name} [${reason}]`,
    ignore: reason !== undefined,
    fn,
  });
}

define(
  "I6: beyond max_user_watches directories are polled, and watched when the limit is raised",
  async () => {
    const seen = await watchWithLimit("watches");
    assertEquals(seen.watchedBelow, 20);
    assertEquals(seen.watchedAbove, 31);
    assert(seen.told.some((line) => /^reread \d+ unwatched$/.test(line)));
    assertEquals(seen.troubles.length, 1);
    assertMatch(seen.troubles[0] ?? "", /raise the sysctl fs\.inotify\.max_user_watches/);
  },
);

define(
  "I6: without an inotify instance the tree is polled, and watched when there is one",
  async () => {
    const seen = await watchWithLimit("instances");
    assertEquals(seen.watchedBelow, 0);
    assertEquals(seen.watchedAbove, 31);
    assertEquals(seen.told[0], "found");
    assert(seen.told.includes("reread  unwatched"));
    assertEquals(seen.troubles.length, 1);
    assertMatch(seen.troubles[0] ?? "", /fs\.inotify\.max_user_instances/);
  },
);
