{
  description = "Share files between virtual machines, scanned first";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem =
        make: lib.genAttrs systems (system: make (nixpkgs.legacyPackages.${system}.extend self.overlays.default));
      binaries = map (program: program.binary) (lib.attrValues (lib.importJSON ./nix/programs.json));
    in
    {
      overlays.default = import ./nix/overlay.nix;

      packages = forEachSystem (
        pkgs: lib.genAttrs binaries (name: pkgs.${name}) // { default = pkgs.virtiofs-gate; }
      );

      nixosModules = {
        host = ./nix/modules/host.nix;
        guest = ./nix/modules/guest.nix;
        default.imports = [
          ./nix/modules/host.nix
          ./nix/modules/guest.nix
        ];
      };

      checks = forEachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      devShells = forEachSystem (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree or pkgs.nixfmt);
    };
}
