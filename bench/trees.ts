/** Trees of a given size. */

const BELOW_EACH = 100;

/** Makes `count` directories below `top`, a hundred in each of the upper ones. */
export async function makeDirectories(top: string, count: number): Promise<void> {
  for (let made = 0, group = 0; made < count; group++) {
    await Deno.mkdir(`${top}/${group}`);
    made++;
    for (let i = 0; i < BELOW_EACH && made < count; i++, made++) {
      Deno.mkdirSync(`${top}/${group}/${i}`);
    }
  }
}
