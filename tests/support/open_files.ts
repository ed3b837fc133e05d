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
