/** The gate's grant: one directory, through which it reaches its indexes, and nothing else. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { DOORWAY } from "../../ffi/doorway.ts";
import { LIBC_CANDIDATES } from "../../ffi/platform.ts";
import denoConfiguration from "../../deno.json" with { type: "json" };
import { scratchDirectory } from "../support/scratch.ts";

const module = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);

const PROGRAM = `
  import { DatabaseSync } from "node:sqlite";
  import { fromText } from ${module("ffi/byte_string.ts")};
  import { throughDoorway } from ${module("ffi/doorway.ts")};
  const [folder] = Deno.args;
  const attempt = (open) => {
    try { return String(open()); } catch (error) { return error.name; }
  };
  const database = throughDoorway(fromText(folder), (way) => new DatabaseSync(way + "/index"));
  // The link has gone; what is opened now lies beside the file itself.
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  const beside = attempt(() => Deno.readTextFileSync(folder + "/secret"));
  const passwd = attempt(() => Deno.readTextFileSync("/etc/passwd").length);
  const write = attempt(() => Deno.writeTextFileSync(folder + "/new", ""));
  const link = attempt(() => Deno.symlinkSync("/", "${DOORWAY}/root"));
  console.log(JSON.stringify({ beside, passwd, write, link }));
`;

const reason = Deno.uid() === 0 ? undefined : "needs root, to write to /run";

Deno.test({
  name: `I8: with the gate's grant an index may lie anywhere, and no other file can be opened${
    reason === undefined ? "" : ` [${reason}]`
  }`,
  ignore: reason !== undefined,
  fn: async () => {
    assertEquals(denoConfiguration.permissions.gate.read, [DOORWAY]);
    assertEquals(denoConfiguration.permissions.gate.write, [DOORWAY]);
    const folder = scratchDirectory("doorway");
    const program = `${scratchDirectory("program")}/program.js`;
    await Deno.writeTextFile(program, PROGRAM);
    await Deno.writeTextFile(`${folder}/secret`, "secret");
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--no-lock", `--allow-ffi=${LIBC_CANDIDATES.join(",")}`],
        ...[`--allow-read=${DOORWAY}`, `--allow-write=${DOORWAY}`, program, folder],
      ],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout);
    assertEquals(
      said === "" ? new TextDecoder().decode(stderr) : JSON.parse(said),
      {
        beside: "NotCapable",
        passwd: "NotCapable",
        write: "NotCapable",
        link: "NotCapable",
      },
    );
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(names.sort(), ["index", "secret"]);
    assertEquals([...Deno.readDirSync(DOORWAY)].filter(({ isFile }) => isFile), []);
  },
});
