/**
 * The binaries hold the permissions that deno.json declares, and the files of their program, and
 * nothing else. `denort`, on which binaries are built, cannot be had everywhere: `deno` itself stands
 * in for it. What comes out does not run as the program, but holds everything that would be embedded.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import denoConfiguration from "../../deno.json" with { type: "json" };
import { compileArguments } from "../../nix/compile.ts";
import { type Program, PROGRAMS } from "../../nix/programs.ts";
import { must, run } from "../support/command.ts";
import {
  type EmbeddedProgram,
  readEmbeddedProgram,
  runFlags,
} from "../support/embedded_program.ts";
import { REPOSITORY } from "../support/gate.ts";
import { scratchDirectory } from "../support/scratch.ts";

const KINDS = ["env", "ffi", "net", "read", "run", "sys", "write"] as const;

/** Flags of V8 that Deno sets by itself. */
const DENOS_OWN: ReadonlySet<string> = new Set([
  "UNUSED_BUT_NECESSARY_ARG0",
  "--stack-size=1024",
  "--inspector-live-edit",
  "--external-memory-max-reasonable-size=0",
]);

/** Tests, tools, packages for tests, and the tests of packages. */
const FOREIGN = /(^|\/)(tests?|bench|nix|docs|fast-check|pure-rand)\/|\.test\.\w+$/;

const built = new Map<string, Promise<EmbeddedProgram>>();

/** Builds a program with `deno` as its base; what it holds. Each is built once. */
function build(program: Program, libc?: string): Promise<EmbeddedProgram> {
  const key = `${program.name} ${libc ?? ""}`;
  const known = built.get(key) ?? (async () => {
    const output = `${scratchDirectory("compile")}/${program.binary}`;
    await must(Deno.execPath(), await compileArguments(program, output, libc), {
      cwd: REPOSITORY,
      env: { DENORT_BIN: await Deno.realPath(Deno.execPath()) },
    });
    const embedded = await readEmbeddedProgram(output);
    await Deno.remove(output); // each of them is larger than 100 MB
    return embedded;
  })();
  built.set(key, known);
  return known;
}

/** What deno.json grants of a kind, as a binary notes it: `null` nothing, `[]` everything. */
function declared(program: Program, kind: string): readonly string[] | null {
  const sets: Readonly<Record<string, Readonly<Record<string, unknown>>>> =
    denoConfiguration.permissions;
  const grant = sets[program.name]?.[kind];
  if (grant === undefined || grant === false) return null;
  return grant === true ? [] : grant as readonly string[]; // compared with the binary's own list
}

/** The local files and the packages that a program imports, by what Deno says. */
async function imports(program: Program): Promise<{ files: string[]; packages: string[] }> {
  const output = await must(Deno.execPath(), ["info", "--json", program.entryPoint], {
    cwd: REPOSITORY,
  });
  const { modules, npmPackages } = JSON.parse(new TextDecoder().decode(output)) as {
    readonly modules: readonly { readonly local?: string; readonly npmPackage?: string }[];
    readonly npmPackages: Readonly<
      Record<string, { readonly name: string; readonly dependencies: readonly string[] }>
    >;
  };
  const reached = new Set(modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  // A set visits what is added meanwhile.
  for (const id of reached) npmPackages[id]?.dependencies.forEach((other) => reached.add(other));
  return {
    files: modules.flatMap(({ local }) =>
      local?.startsWith(REPOSITORY) ? [local.slice(REPOSITORY.length)] : []
    ),
    packages: [...reached].flatMap((id) => npmPackages[id]?.name ?? []),
  };
}

for (const program of PROGRAMS) {
  const { binary } = program;

  Deno.test(`I8: ${binary} grants itself what deno.json declares, and nothing else`, async () => {
    const { permissions } = (await build(program)).metadata;
    for (const kind of KINDS) {
      assertEquals(permissions[`allow_${kind}`], declared(program, kind), kind);
    }
    const allowed = Object.keys(permissions).filter((key) => /^allow_/.test(key)).sort();
    assertEquals(allowed, [...KINDS, "import"].map((kind) => `allow_${kind}`).sort());
    assertEquals(permissions.deny_import, [], "no code from anywhere else");
    assertEquals(permissions.prompt, false);
  });

  Deno.test(`I8: ${binary} has no code cache, no unstable features, and of V8 what its task has`, async () => {
    const { metadata } = await build(program);
    assertEquals(metadata.entrypoint_key, program.entryPoint);
    assertEquals(metadata.code_cache_key, null);
    assertEquals(metadata.unstable_config.features, []);
    assertEquals(metadata.env_vars_from_env_file, {});
    assertEquals(metadata.argv, []);
    const [, ofTask] = /--v8-flags=(\S+)/.exec(denoConfiguration.tasks[program.name]) ?? [];
    const jitless = program.jitless ? ["--jitless"] : [];
    assertEquals(metadata.v8_flags.filter((flag) => !DENOS_OWN.has(flag)), [
      ...jitless,
      ...(ofTask === undefined ? [] : [ofTask]),
    ]);
    assertEquals(metadata.log_level, "ERROR", "the runtime does not chatter into our log");
  });

  Deno.test(`${binary} embeds its program and what that imports; no test, no tool`, async () => {
    const { files } = await build(program);
    const wanted = await imports(program);
    const own = files.filter((file) => !file.startsWith(".deno_compile_node_modules/"));
    assertEquals(own.filter((file) => !wanted.files.includes(file)), []);
    assert(own.includes(program.entryPoint));
    assert(own.includes("ffi/libc.ts"));
    assertEquals(files.filter((file) => FOREIGN.test(file)), []);
    const packages = new Set(
      files.flatMap((file) =>
        /^\.deno_compile_node_modules\/localhost\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []
      ),
    );
    assertEquals([...packages].sort(), [...new Set(wanted.packages)].sort());
  });

  Deno.test(`${binary} runs under exactly the embedded permissions`, async () => {
    const flags = runFlags(await build(program));
    const { code, stdout, stderr } = await run(
      Deno.execPath(),
      ["run", "--quiet", "--cached-only", ...flags, program.entryPoint, "--help"],
      { cwd: REPOSITORY },
    );
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(new TextDecoder().decode(stdout), `Usage: ${binary} `);
  });
}

const [GATE] = PROGRAMS;

Deno.test("with --libc the binary may open this C library and no other", async () => {
  assert(GATE !== undefined);
  const libc = "/nix/store/00000000000000000000000000000000-glibc-2.40/lib/libc.so.6";
  const { permissions } = (await build(GATE, libc)).metadata;
  assertEquals(permissions.allow_ffi, [libc]);
});

Deno.test("I8: virtiofs-gate verifies a configuration under the embedded permissions", async () => {
  assert(GATE !== undefined);
  const flags = runFlags(await build(GATE));
  const configuration = `${scratchDirectory("verify")}/channels.json`;
  const verify = async (text: string) => {
    await Deno.writeTextFile(configuration, text);
    const { code, stdout } = await run(
      Deno.execPath(),
      [
        ...["run", "--quiet", "--cached-only", ...flags, GATE.entryPoint],
        ...["verify", "--offline", "--config", configuration],
      ],
      { cwd: REPOSITORY },
    );
    return { code, said: new TextDecoder().decode(stdout) };
  };
  const good = await verify('{"docs": {"basePath": "/srv/docs", "producers": ["ann", "bob"]}}');
  assertEquals(good.code, 0, good.said);
  const bad = await verify('{"docs": {"basePath": "docs", "producers": ["ann"]}}');
  assertEquals(bad.code, 1);
  assertStringIncludes(bad.said, "docs.basePath");
});
