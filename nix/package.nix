# One of the programs as a binary. `program` is the name of its folder in src/.
{
  lib,
  stdenv,
  callPackage,
  deno,

  program,
  npmPackages ? callPackage ./npm_packages.nix { },
}:
let
  binary = (lib.importJSON ./programs.json).${program}.binary;
  inherit (lib.importJSON ../deno.json) version;

  # The only file that the binary may load code from; the same that denort itself is linked to.
  libc = "${lib.getLib stdenv.cc.libc}/lib/libc.so.6";

  summaries = {
    gate = "Share files between virtual machines, scanned first";
    vproxy = "Let virtual machines scan with their host's clamd, and do nothing else with it";
    vclient = "Scan files in a virtual machine as they are written";
    notify = "Refresh a virtual machine's file browsers when its shares change on the host";
  };
in
assert lib.assertMsg (
  deno ? denort
) "virtiofs-gate: this nixpkgs has no deno.denort, on which binaries are built; take a newer one";
stdenv.mkDerivation {
  pname = binary;
  inherit version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../deno.json
      ../ffi
      ../src
      ./compile.ts
      ./npm_tests.ts
      ./programs.json
      ./programs.ts
    ];
  };

  nativeBuildInputs = [ deno ];

  # Each package has its hash in npm_packages.nix, so Deno need not look at the lock again.
  postPatch = ''
    substituteInPlace ffi/platform.ts --replace-fail '"/lib64/libc.so.6"' '"${libc}"'
    substituteInPlace deno.json \
      --replace-fail '"nodeModulesDir": "none"' '"nodeModulesDir": "manual"' \
      --replace-fail '"lock": true' '"lock": false'
  '';

  configurePhase = ''
    runHook preConfigure
    cp --recursive ${npmPackages} node_modules
    runHook postConfigure
  '';

  buildPhase = ''
    runHook preBuild
    export HOME=$TMPDIR DENO_DIR=$TMPDIR/deno DENO_NO_UPDATE_CHECK=1
    export DENORT_BIN=${deno.denort}/bin/denort
    deno run --cached-only --allow-read --allow-write --allow-run nix/compile.ts \
      --program ${program} --output dist --libc ${libc}
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    install -D --mode=755 dist/${binary} $out/bin/${binary}
    runHook postInstall
  '';

  # Either would cut off what was appended to denort.
  dontStrip = true;
  dontPatchELF = true;

  doInstallCheck = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  installCheckPhase = ''
    runHook preInstallCheck
    $out/bin/${binary} --version | grep --fixed-strings ${version}
    runHook postInstallCheck
  '';

  meta = {
    description = summaries.${program};
    license = lib.licenses.mit;
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    mainProgram = binary;
  };
}
