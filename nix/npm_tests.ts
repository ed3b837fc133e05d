/** Packages bring their own tests along; those have no place in a binary. */

/** What `deno info --json` says, as far as it is of use here. */
interface ModuleGraph {
  readonly npmPackages?: Readonly<Record<string, { readonly localPath?: string }>>;
}

/** The folders with tests in the packages of an entry point's lock file; absolute. */
export async function npmTestFolders(entryPoint: string, cwd: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entryPoint],
    cwd,
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  // Nothing is said of a module that does not exist; deno compile tells that better.
  const { npmPackages = {} }: ModuleGraph = text === "" ? {} : JSON.parse(text);
  const folders = Object.values(npmPackages).flatMap(({ localPath }) => localPath ?? []);
  return (await Promise.all(folders.map(testFolders))).flat();
}

async function testFolders(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (!entry.isDirectory) continue;
    if (/^(tests?|__tests__)$/.test(entry.name)) found.push(path);
    else found.push(...await testFolders(path));
  }
  return found;
}
