# A machine's configuration → what the tests look at. With nixpkgs (`nixpkgs` is its path) by NixOS itself, else by
# the small module system beside this file.
{
  nixpkgs ? null,
  # The path of a module.
  module,
}:
let
  imports = [
    ../../../nix/modules/host.nix
    ../../../nix/modules/guest.nix
    module
  ];

  # Derivations are not built here; what they are made of can still be looked at.
  stubs =
    let
      lib = import ./lib.nix;
      pkgs = {
        inherit lib;
        callPackage =
          file: arguments:
          {
            outPath = "/nix/store/00000000000000000000000000000000-${arguments.program}";
          }
          // arguments;
        runCommand = name: arguments: script: {
          outPath = "/nix/store/${builtins.hashString "md5" (arguments.channels or script)}-${name}";
          inherit arguments script;
        };
      };
      # As nixpkgs' nixos/lib/utils.nix: quoted, with nothing left to expand.
      utils.escapeSystemdExecArgs = lib.concatMapStringsSep " " (
        it: builtins.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON (toString it))
      );
      free = lib.mkOption {
        type = lib.types.attrsOf lib.types.anything;
        default = { };
      };
      list = lib.mkOption {
        type = lib.types.listOf lib.types.anything;
        default = [ ];
      };
      nixos = {
        options = {
          assertions = list;
          boot.kernelModules = list;
          boot.kernel.sysctl = free;
          environment.etc = free;
          environment.systemPackages = list;
          fileSystems = free;
          services.clamav.daemon = {
            enable = lib.mkEnableOption "clamd";
            settings = free;
          };
          services.clamav.updater.enable = lib.mkEnableOption "freshclam";
          systemd.mounts = list;
          systemd.services = free;
          systemd.tmpfiles.settings = free;
          systemd.user.services = free;
          users.groups = free;
          users.users = free;
        };
      };
    in
    lib.evalModules {
      modules = imports ++ [ nixos ];
      specialArgs = { inherit pkgs utils; };
    };

  real = import "${nixpkgs}/nixos/lib/eval-config.nix" {
    system = "x86_64-linux";
    modules = imports ++ [ { system.stateVersion = "24.05"; } ];
  };

  inherit (if nixpkgs == null then stubs else real) config;

  ours = [
    "virtiofs-gate"
    "clamd-vproxy"
    "clamd-vclient"
    "virtiofs-notify"
  ];
  chosen = set: builtins.intersectAttrs (builtins.listToAttrs (map (name: { inherit name; value = null; }) ours)) set;
  essence = builtins.mapAttrs (
    _: service: {
      inherit (service) description serviceConfig wantedBy;
      inherit (service) unitConfig;
      reloadTriggers = map toString (service.reloadTriggers or [ ]);
    }
  );
in
{
  failures = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
  services = essence (chosen config.systemd.services);
  userServices = essence (chosen config.systemd.user.services);
  mounts = map (it: { inherit (it) what where options; }) config.systemd.mounts;
  tmpfiles = builtins.removeAttrs config.systemd.tmpfiles.settings [ ];
  clamav = {
    inherit (config.services.clamav.daemon) enable settings;
  };
  fileSystems = builtins.mapAttrs (_: it: { inherit (it) device fsType options; }) config.fileSystems;
  inherit (config.boot) kernelModules;
  channels =
    let
      source = config.environment.etc."virtiofs/channels.json".source or null;
    in
    if source == null then null else source.arguments.channels or source.channels or null;
}
