/**
 * The flake's packages. There is no nixpkgs on every machine, so the derivations are evaluated with a stub of it, and
 * their phases run by hand: without network, with Deno as a stand-in for denort.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { z } from "zod";
import { type Program, PROGRAMS } from "../../nix/programs.ts";
import { evaluate } from "../../nix/units.ts";
import { must, run } from "../support/command.ts";
import { type EmbeddedProgram, readEmbeddedProgram } from "../support/embedded_program.ts";
import { REPOSITORY } from "../support/gate.ts";
import { missingProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";

const PACKAGE = z.object({
  pname: z.string(),
  postPatch: z.string(),
  configurePhase: z.string(),
  buildPhase: z.string(),
  installPhase: z.string(),
  dontStrip: z.boolean(),
  dontPatchELF: z.boolean(),
  fileset: z.array(z.string()),
});

const FLAKE = z.object({
  names: z.array(z.string()),
  modules: z.array(z.string()),
  checks: z.record(z.string(), z.array(z.string())),
  shells: z.record(z.string(), z.array(z.string())),
  packages: z.record(z.string(), z.record(z.string(), PACKAGE)),
  npmPackages: z.object({
    script: z.string(),
    path: z.string(),
    packages: z.array(z.object({
      name: z.string(),
      version: z.string(),
      url: z.string(),
      hash: z.string(),
      path: z.string(),
    })),
  }),
});

const LOCK = z.object({ npm: z.record(z.string(), z.object({ integrity: z.string() })) });

const SYSTEMS = ["aarch64-linux", "x86_64-linux"];
const STORE = "/nix/store/00000000000000000000000000000000";

let evaluation: Promise<z.infer<typeof FLAKE>> | undefined;

function flake(): Promise<z.infer<typeof FLAKE>> {
  const file = new URL("./nixos/packages.nix", import.meta.url).pathname;
  return evaluation ??= evaluate(["--strict", "--json", file]).then((text) =>
    FLAKE.parse(JSON.parse(text))
  );
}

function testFlake(name: string, fn: () => Promise<void>): void {
  const reason = missingProgram("nix-instantiate");
  Deno.test({
    name: reason === undefined ? name : `${name} [${reason}]`,
    ignore: reason !== undefined,
    fn,
  });
}

testFlake("the flake offers everything, for both architectures", async () => {
  const { names, modules, checks, shells, packages } = await flake();
  assertEquals(names, [
    "checks",
    "devShells",
    "formatter",
    "nixosModules",
    "overlays",
    "packages",
  ]);
  assertEquals(modules, ["default", "guest", "host"]);
  const binaries = [...PROGRAMS.map(({ binary }) => binary), "default"].sort();
  for (const system of SYSTEMS) {
    assertEquals(Object.keys(packages[system] ?? {}), binaries);
    assertEquals(packages[system]?.default?.pname, "virtiofs-gate");
    assert(checks[system]?.includes("vm"));
    assertEquals(shells[system], ["default"]);
  }
});

testFlake(
  "npm packages are fetched by the lock's own hashes; none is for tests alone",
  async () => {
    const { npmPackages: { packages } } = await flake();
    const { npm: locked } = LOCK.parse(
      JSON.parse(await Deno.readTextFile(`${REPOSITORY}deno.lock`)),
    );
    for (const { name, version, url, hash } of packages) {
      assertEquals(hash, locked[`${name}@${version}`]?.integrity);
      assertEquals(
        url,
        `https://registry.npmjs.org/${name}/-/${name.split("/").at(-1)}-${version}.tgz`,
      );
    }
    assertEquals(packages.map(({ name }) => name).sort(), ["@logtape/logtape", "deno-std", "zod"]);
  },
);

testFlake("the flake's check compares the units with their source", async () => {
  const folder = scratchDirectory("nix-store");
  const file = new URL("./nixos/packages.nix", import.meta.url).pathname;
  // Files are copied into the store, as they are for a derivation that is built.
  const text = await evaluate(
    ["--strict", "--json", "--read-write-mode", "--attr", "unitsCheck", file],
    { NIX_STORE_DIR: `${folder}/store`, NIX_STATE_DIR: `${folder}/state` },
  );
  const check = async (script: string) =>
    await run("bash", ["-euc", script], { env: { out: `${folder}/out` } });
  const script = String(JSON.parse(text));
  const { code, stdout, stderr } = await check(script);
  assertEquals(code, 0, new TextDecoder().decode(stdout) + stderr);
  await Deno.stat(`${folder}/out`);
  const other = await check(script.replace("virtiofs-gate.service ", "clamd-vproxy.service "));
  assertEquals(other.code, 1);
});

testFlake("nothing cuts off what is appended to denort", async () => {
  for (const builds of Object.values((await flake()).packages)) {
    for (const { dontStrip, dontPatchELF } of Object.values(builds)) {
      assertEquals([dontStrip, dontPatchELF], [true, true]);
    }
  }
});

/** As stdenv's, for what is used here. */
const STDENV = `
runHook() { :; }
substituteInPlace() {
  local file=$1
  shift
  while [ $# -gt 0 ]; do
    [ "$1" = --replace-fail ] && grep --quiet --fixed-strings -- "$2" "$file"
    sed --in-place "s|$2|$3|g" "$file"
    shift 3
  done
}
`;

/** Runs the phases of a package's derivation; what the binary holds, and the patched sources. */
async function build(program: Program): Promise<{ embedded: EmbeddedProgram; source: string }> {
  const { packages, npmPackages } = await flake();
  const derivation = packages["x86_64-linux"]?.[program.binary];
  assert(derivation !== undefined);
  const folder = scratchDirectory("nix-build");
  const source = `${folder}/source`;
  await Deno.mkdir(`${source}/nix`, { recursive: true });
  for (const path of derivation.fileset) {
    assert(path.startsWith(REPOSITORY));
    await must("cp", ["-r", path, `${source}/${path.slice(REPOSITORY.length)}`]);
  }
  const stand = await Deno.realPath(Deno.execPath());
  let script = [
    "set -euo pipefail",
    STDENV,
    `out=${npmPackages.path}`,
    npmPackages.script,
    `out=${folder}/out`,
    derivation.postPatch,
    derivation.configurePhase,
    derivation.buildPhase,
    derivation.installPhase,
  ].join("\n");
  const cached = await npmFolders();
  for (const { name, version, path } of npmPackages.packages) {
    const tarball = `${folder}/${path.slice(STORE.length)}`;
    const content = cached.get(`${name}@${version}`);
    assert(content !== undefined, `${name} is not in Deno's cache`);
    await must("tar", ["-czf", tarball, "--transform=s,^\\.,package,", "-C", content, "."]);
    script = script.replaceAll(path, tarball);
  }
  script = script
    .replaceAll(npmPackages.path, `${folder}/node_modules`)
    .replaceAll(`${STORE}-denort/bin/denort`, stand);
  await Deno.mkdir(`${folder}/bin`);
  await Deno.symlink(stand, `${folder}/bin/deno`);
  await must("unshare", ["--net", "bash", "-c", script], {
    cwd: source,
    env: { PATH: `${folder}/bin:/usr/bin:/bin`, TMPDIR: folder, DENO_DIR: `${folder}/nothing` },
  });
  const embedded = await readEmbeddedProgram(`${folder}/out/bin/${program.binary}`);
  await must("rm", ["-r", `${folder}/out`]); // larger than 100 MB
  return { embedded, source };
}

/** Where Deno keeps packages, by name and version. */
async function npmFolders(): Promise<Map<string, string>> {
  const output = await must(Deno.execPath(), ["info", "--json", "src/gate/main.ts"], {
    cwd: REPOSITORY,
  });
  const { npmPackages } = JSON.parse(new TextDecoder().decode(output)) as {
    readonly npmPackages: Readonly<Record<string, { readonly localPath: string }>>;
  };
  return new Map(Object.entries(npmPackages).map(([key, { localPath }]) => [key, localPath]));
}

const LIBC = `${STORE}-glibc/lib/libc.so.6`;

for (const program of PROGRAMS.filter(({ name }) => name === "gate" || name === "notify")) {
  const withoutRoot = Deno.uid() === 0 ? undefined : "needs root, for a build without network";
  const reason = missingProgram("nix-instantiate") ?? withoutRoot;
  Deno.test({
    name: `I8: ${program.binary} of the flake may open the store's C library, and no other` +
      (reason === undefined ? "" : ` [${reason}]`),
    ignore: reason !== undefined,
    fn: async () => {
      const { embedded: { metadata, files }, source } = await build(program);
      assertEquals(metadata.permissions.allow_ffi, [LIBC]);
      assertEquals(metadata.permissions.prompt, false);
      const platform = await Deno.readTextFile(`${source}/ffi/platform.ts`);
      assertStringIncludes(platform, `"${LIBC}"`);
      assert(files.includes(program.entryPoint), "the program is there");
      const foreign = /(^|\/)(fast-check|tests?|bench)\/|\.test\.\w+$/;
      assertEquals(files.filter((file) => foreign.test(file)), []);
    },
  });
}
