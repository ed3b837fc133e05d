# The npm packages of deno.lock as a node_modules directory: each tarball is fetched by the hash that the
# lock itself holds, so nothing has to be vendored, and nothing can be exchanged.
{
  lib,
  fetchurl,
  runCommand,

  lockFile ? ../deno.lock,
  configFile ? ../deno.json,
  # Packages that only tests import.
  forTests ? [ "fast-check" ],
}:
let
  lock = lib.importJSON lockFile;

  # "npm:@scope/name@1.2.3/path" → "@scope/name@1.2.3"
  packageOf =
    specifier:
    let
      found = builtins.match "npm:(@[^/@]+/)?([^/@]+@[^/]+).*" specifier;
      scope = builtins.elemAt found 0;
    in
    if found == null then
      throw "deno.json: ${specifier} is not a package of npm, so deno.lock holds no hash for it"
    else
      (if scope == null then "" else scope) + builtins.elemAt found 1;

  # "@scope/name@1.2.3" → { name = "@scope/name"; version = "1.2.3"; }
  partsOf =
    key:
    let
      found = builtins.match "(@?[^@]+)@(.+)" key;
    in
    {
      name = builtins.elemAt found 0;
      version = builtins.elemAt found 1;
    };

  roots = builtins.filter (key: !builtins.elem (partsOf key).name forTests) (
    lib.unique (map packageOf (builtins.attrValues (lib.importJSON configFile).imports))
  );

  # A dependency is written without its version where there is only one of that name.
  keyOf =
    dependency:
    if lock.npm ? ${dependency} then
      dependency
    else
      let
        keys = builtins.filter (key: (partsOf key).name == dependency) (builtins.attrNames lock.npm);
      in
      if builtins.length keys == 1 then
        builtins.head keys
      else
        throw "deno.lock: it is not clear which package ${dependency} is";

  keys = map (entry: entry.key) (
    builtins.genericClosure {
      startSet = map (key: { inherit key; }) roots;
      operator = { key }: map (name: { key = keyOf name; }) (lock.npm.${key}.dependencies or [ ]);
    }
  );

  packages = map (
    key:
    let
      inherit (partsOf key) name version;
    in
    {
      inherit name version;
      tarball = fetchurl {
        url = "https://registry.npmjs.org/${name}/-/${baseNameOf name}-${version}.tgz";
        hash = lock.npm.${key}.integrity;
      };
    }
  ) keys;

  names = map (package: package.name) packages;
in
assert lib.assertMsg (lock.version == "5") "deno.lock: version 5 is known, not ${lock.version}";
assert lib.assertMsg (
  !(lock ? jsr) && !(lock ? remote)
) "deno.lock: only packages of npm can be fetched by their hashes";
assert lib.assertMsg (
  lib.unique names == names
) "deno.lock: two versions of one package do not fit into one node_modules directory";
runCommand "virtiofs-gate-node-modules" { passthru = { inherit packages; }; } (
  lib.concatMapStrings (
    { name, tarball, ... }:
    ''
      mkdir -p $out/${name}
      tar --extract --gzip --file=${tarball} --directory=$out/${name} --strip-components=1
    ''
  ) packages
  + ''
    # Packages bring their own tests along.
    find $out -depth -type d -regex '.*/\(tests?\|__tests__\)' -exec rm -r {} +
  ''
)
