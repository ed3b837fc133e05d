# services.virtiofs-notify: makes file browsers of a virtual machine notice what the gate brought.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkEnableOption mkIf mkOption types;

  cfg = config.services.virtiofs-notify;
  programs = lib.importJSON ../programs.json;
  commandOf = import ./command.nix { inherit lib utils; };
  paths = import ./paths.nix { inherit lib; };

  command = commandOf {
    binary = "${cfg.package}/bin/virtiofs-notify";
    options = {
      inherit (cfg) port uds debug;
      map = lib.mapAttrsToList (name: channel: "${name}=${channel.path}") cfg.channels;
      allowCid = cfg.allowCids;
    };
  };

  # Each is one line of what the gate says, and "NAME=PATH" on the command line.
  unfit = builtins.filter (
    name: builtins.match "[^=\n]+" name == null || builtins.stringLength name > 256
  ) (lib.attrNames cfg.channels);

  vsock = cfg.uds == null;
  inherit (programs.notify) jitless;

  unit = import ../units/notify.nix {
    inherit command vsock jitless;
    inherit (cfg) user;
    paths = lib.mapAttrsToList (_: channel: channel.path) cfg.channels;
    socketDirectories = lib.optional (cfg.uds != null) (dirOf cfg.uds);
  };

  userUnit = import ../units/notify_user.nix { inherit command vsock jitless; };

  mounted = lib.filterAttrs (_: channel: channel.tag != null) cfg.channels;
in
{
  options.services.virtiofs-notify = {
    enable = mkEnableOption "virtiofs-notify, which refreshes file browsers when the host brings files";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { program = "notify"; };
      defaultText = lib.literalExpression "virtiofs-notify of this flake, built with your pkgs";
      description = "The package that provides `virtiofs-notify`.";
    };

    channels = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            path = mkOption {
              type = paths.text;
              example = "/home/user/documents";
              description = "Where the channel's share is mounted.";
            };
            tag = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "documents";
              description = "The virtiofs tag to mount there. `null`: it is mounted by other means.";
            };
          };
        }
      );
      default = { };
      description = "The channels of this virtual machine, by the names that the gate knows them by.";
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "user";
      description = ''
        The owner of the channels' directories, who it runs as: virtiofs asks the host's kernel, which
        knows no privileges of a guest. `null`: as a service of each user's own manager instead.
      '';
    };

    port = mkOption {
      type = types.ints.between 1 4294967294;
      default = 3401;
      description = "The vsock port to listen on.";
    };

    allowCids = mkOption {
      type = types.nonEmptyListOf (types.ints.between 0 4294967294);
      default = [ 2 ];
      description = "The vsock CIDs that may notify: 2 is the host.";
    };

    uds = mkOption {
      type = types.nullOr paths.hybridSocket;
      default = null;
      description = "Listen on the Unix socket `UDS_PORT` instead of vsock.";
    };

    debug = mkOption {
      type = types.bool;
      default = false;
      description = "Whether debug messages are logged, too.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.channels != { };
        message = "services.virtiofs-notify.channels is empty: there is nothing to do";
      }
      {
        assertion = unfit == [ ];
        message = "services.virtiofs-notify.channels: ${lib.concatMapStringsSep ", " builtins.toJSON unfit} cannot be the name of a channel: it takes one line of at most 256 bytes, without =";
      }
    ];

    systemd.services.virtiofs-notify = mkIf (cfg.user != null) (import ./service.nix unit);
    systemd.user.services.virtiofs-notify = mkIf (cfg.user == null) (import ./service.nix userUnit);

    fileSystems = lib.mapAttrs' (
      _: channel:
      lib.nameValuePair channel.path {
        device = channel.tag;
        fsType = "virtiofs";
        # A guest without its share is better than one that does not start.
        options = [
          "nofail"
          "nosuid"
          "nodev"
        ];
      }
    ) mounted;

    environment.systemPackages = [ cfg.package ];
  };
}
