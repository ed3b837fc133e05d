/**
 * Limits for inotify that hold for one process and its children alone: those of a user namespace, in which all users
 * and groups are what they are outside.
 */

import { must, run } from "./command.ts";
import { hasProgram } from "./prerequisites.ts";

export type InotifyLimit = "watches" | "instances";

/** As root: enters a namespace, whose users can be told only from outside of it. */
const ENTER = `
  ( ( until [ "$(readlink /proc/$$/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
      echo 0 0 4294967295 >/proc/$$/gid_map
      echo 0 0 4294967295 >/proc/$$/uid_map ) & )
  exec unshare --user sh -c '
    until [ -n "$(cat /proc/self/uid_map)" ]; do sleep 0.02; done
    exec "$0" "$@"
  ' "$@"
`;

function fileOf(limit: InotifyLimit): string {
  return `/proc/sys/user/max_inotify_${limit}`;
}

/** What runs another command, given after it, below these limits. Its process ID stays the same. */
export function withInotifyLimit(limit: InotifyLimit, value: number): readonly string[] {
  const setAndRun = `echo ${value} >${fileOf(limit)} && exec "$0" "$@"`;
  return ["sh", "-c", ENTER, "sh", "sh", "-c", setAndRun];
}

/** Changes the limit of a process that runs below one. */
export async function setInotifyLimit(
  pid: number,
  limit: InotifyLimit,
  value: number,
): Promise<void> {
  await must("nsenter", ["--user", "-t", `${pid}`, "sh", "-c", `echo ${value} >${fileOf(limit)}`]);
}

/** Why there can be no such limits here; `undefined` if there can. */
export async function inotifyLimitObstacle(): Promise<string | undefined> {
  if (!hasProgram("unshare") || !hasProgram("nsenter")) {
    return "needs unshare and nsenter (util-linux)";
  }
  const [command = "", ...args] = withInotifyLimit("watches", 5);
  const { code } = await run(command, [...args, "true"]);
  return code === 0 ? undefined : "needs user namespaces";
}
