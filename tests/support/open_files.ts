/** What a process has open below `path`, unnamed files included; this one, if it is not given. */
export function openBelow(path: string, process: number | "self" = "self"): string[] {
  const descriptors = `/proc/${process}/fd`;
  const targets = [...Deno.readDirSync(descriptors)].map(({ name }) => {
    try {
      return Deno.readLinkSync(`${descriptors}/${name}`);
    } catch {
      return ""; // the directory's own
    }
  });
  return targets.filter((target) => target.startsWith(`${path}/`)).sort();
}

/** How many directories a process watches. */
export function watches(pid: number): number {
  const folder = `/proc/${pid}/fdinfo`;
  const told = [...Deno.readDirSync(folder)].map(({ name }) => {
    try {
      return Deno.readTextFileSync(`${folder}/${name}`);
    } catch {
      return ""; // closed meanwhile
    }
  });
  return told.join("").match(/^inotify wd:/gm)?.length ?? 0;
}
