# `nix flake check`: the packages build, the units are current, a bad configuration fails, and machines work.
{ self, pkgs }:
let
  inherit (pkgs) lib;

  unitFiles = import ./units/plain.nix;

  # A host with this channel, as far as its configuration file.
  configurationOf =
    channel:
    (self.inputs.nixpkgs.lib.nixosSystem {
      inherit (pkgs.stdenv.hostPlatform) system;
      modules = [
        self.nixosModules.default
        {
          system.stateVersion = "25.11";
          services.virtiofs-gate = {
            enable = true;
            channels.documents = {
              basePath = "/var/lib/virtiofs/documents";
              producers = [
                "office-vm"
                "mail-vm"
              ];
            }
            // channel;
          };
        }
      ];
    }).config.environment.etc."virtiofs/channels.json".source;
in
{
  inherit (pkgs)
    virtiofs-gate
    clamd-vproxy
    clamd-vclient
    virtiofs-notify
    ;

  units = pkgs.runCommand "units-are-current" { } (
    lib.concatStrings (
      # The directory as a whole: no path of the store may end in a name with "@".
      lib.mapAttrsToList (path: text: ''
        diff ${./systemd}/${path} ${builtins.toFile "unit" text}
      '') unitFiles
    )
    + "touch $out"
  );

  configuration = configurationOf { };

  # What the options let through, the program refuses.
  bad-configuration = pkgs.testers.testBuildFailure (configurationOf { consumers = [ "mail-vm" ]; });

  vm = pkgs.testers.runNixOSTest (import ./vm_test.nix { inherit self; });
}
