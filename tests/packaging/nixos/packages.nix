# The flake's outputs, as far as they can be looked at without nixpkgs: derivations are what they are made of.
let
  lib = import ./lib.nix;
  flake = import ../../../flake.nix;

  store = name: "/nix/store/00000000000000000000000000000000-${name}";

  # A derivation that is never built: its arguments, and a path.
  derivationOf = arguments: arguments // { outPath = store arguments.pname or arguments.name; };

  pkgsOf =
    system:
    let
      pkgs = {
        inherit lib;
        stdenv = {
          mkDerivation = derivationOf;
          hostPlatform = {
            inherit system;
          };
          buildPlatform.canExecute = _: false;
          cc.libc.lib = store "glibc";
        };
        deno = {
          outPath = store "deno";
          denort = store "denort";
        };
        fetchurl = arguments: arguments // { outPath = store (baseNameOf arguments.url); };
        runCommand =
          name: arguments: script:
          derivationOf (arguments.passthru or { } // arguments // { inherit name script; });
        mkShell = derivationOf;
        nixfmt = store "nixfmt";
        callPackage = callPackageIn pkgs;
        extend =
          overlay:
          let
            final = pkgs // overlay final pkgs // { callPackage = callPackageIn final; };
          in
          final;
      };
    in
    pkgs;

  callPackageIn =
    pkgs: file: arguments:
    let
      function = import file;
    in
    function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments);

  nixpkgs = {
    inherit lib;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] pkgsOf;
  };
  self = outputs // {
    inputs = { inherit nixpkgs; };
  };
  outputs = flake.outputs { inherit self nixpkgs; };
in
{
  names = builtins.attrNames outputs;
  modules = builtins.attrNames outputs.nixosModules;
  checks = builtins.mapAttrs (_: builtins.attrNames) outputs.checks;
  unitsCheck = outputs.checks.x86_64-linux.units.script;
  shells = builtins.mapAttrs (_: builtins.attrNames) outputs.devShells;
  packages = builtins.mapAttrs (
    _:
    builtins.mapAttrs (
      _: package: {
        inherit (package)
          pname
          version
          postPatch
          configurePhase
          buildPhase
          installPhase
          dontStrip
          dontPatchELF
          ;
        fileset = map toString package.src.fileset;
      }
    )
  ) outputs.packages;
  npmPackages =
    let
      packages = (pkgsOf "x86_64-linux").callPackage ../../../nix/npm_packages.nix { };
    in
    {
      inherit (packages) script;
      path = packages.outPath;
      packages = map (package: {
        inherit (package) name version;
        inherit (package.tarball) url hash;
        path = package.tarball.outPath;
      }) packages.packages;
    };
}
