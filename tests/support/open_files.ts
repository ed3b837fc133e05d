/** What this process has open below `path`, unnamed files included. */
export function openBelow(path: string): string[] {
  const targets = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // the directory's own
    }
  });
  return targets.filter((target) => target.startsWith(`${path}/`)).sort();
}
