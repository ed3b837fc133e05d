# All four programs.
final: _prev:
let
  inherit (final) callPackage lib;
  npmPackages = callPackage ./npm_packages.nix { };
in
lib.mapAttrs' (
  program: { binary, ... }:
  lib.nameValuePair binary (callPackage ./package.nix { inherit program npmPackages; })
) (lib.importJSON ./programs.json)
