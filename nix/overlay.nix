# All four programs.
final: prev:
let
  # Names of an overlay must not depend on its result.
  inherit (prev) lib;
  npmPackages = final.callPackage ./npm_packages.nix { };
in
lib.mapAttrs' (
  program: { binary, ... }:
  lib.nameValuePair binary (final.callPackage ./package.nix { inherit program npmPackages; })
) (lib.importJSON ./programs.json)
