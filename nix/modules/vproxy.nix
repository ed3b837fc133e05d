# services.clamd-vproxy: virus scans for virtual machines, and nothing else of clamd.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkEnableOption mkIf mkOption types;

  cfg = config.services.clamd-vproxy;
  programs = lib.importJSON ../programs.json;
  commandOf = import ./command.nix { inherit lib utils; };

  paths = import ./paths.nix { inherit lib; };
  hidden = lib.unique (lib.concatMap paths.hidden ([ cfg.clamdSocket ] ++ cfg.uds));

  # What the program takes: else it would end with a wrong command line.
  upTo =
    most: default: description:
    mkOption {
      type = types.ints.between 1 most;
      inherit default description;
    };
  gib = 1024 * 1024 * 1024;
  day = 24 * 60 * 60;

  unit = import ../units/vproxy.nix {
    inherit (cfg) user;
    inherit (programs.vproxy) jitless;
    vsock = cfg.cid != null;
    socketDirectories = lib.unique (map dirOf cfg.uds);
    command = commandOf {
      binary = "${cfg.package}/bin/clamd-vproxy";
      options = {
        inherit (cfg)
          cid
          port
          maxConnections
          maxConnectionsPerGuest
          maxStreamSize
          maxChunkSize
          commandTimeoutSecs
          readTimeoutSecs
          streamTimeoutSecs
          debug
          ;
        clamd = cfg.clamdSocket;
        # Several modules may name a machine's; the program takes each once.
        uds = lib.unique cfg.uds;
      };
    };
  };
in
{
  options.services.clamd-vproxy = {
    enable = mkEnableOption "clamd-vproxy, which lets virtual machines scan with the host's clamd";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { program = "vproxy"; };
      defaultText = lib.literalExpression "clamd-vproxy of this flake, built with your pkgs";
      description = "The package that provides `clamd-vproxy`.";
    };

    cid = mkOption {
      type = types.nullOr (types.ints.between 0 4294967295);
      default = 2;
      description = "The vsock CID to listen as: 2 is the host. `null`: not on vsock.";
    };

    port = mkOption {
      type = types.ints.between 1 4294967294;
      default = 3400;
      description = "The vsock port to listen on.";
    };

    uds = mkOption {
      type = types.listOf paths.hybridSocket;
      default = [ ];
      example = [ "/var/lib/microvms/office-vm/vsock.sock" ];
      description = ''
        Hybrid-vsock sockets of virtual machines (Firecracker, cloud-hypervisor): it listens on each
        with `_PORT` behind its name.
      '';
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "microvm";
      description = ''
        Who it runs as, which must be the user of the virtual machines where
        {option}`services.clamd-vproxy.uds` is used. `null`: a user that exists as long as the service.
      '';
    };

    clamdSocket = mkOption {
      type = paths.socket;
      default = "/run/clamav/clamd.ctl";
      description = "The Unix socket of clamd.";
    };

    maxConnections = upTo 1000 10 "Connections of all guests that are served at once.";
    maxConnectionsPerGuest = upTo 1000 4 "Connections of one guest that are served at once; with more than its scanConcurrency slow files cannot hold all of them.";
    maxStreamSize = upTo (1024 * gib) (2 * gib) "Bytes of one scan.";
    maxChunkSize = upTo (4 * gib - 1) (25 * 1024 * 1024) "Bytes of one chunk of a scan.";
    commandTimeoutSecs = upTo day 30 "Seconds for a guest to send its command.";
    readTimeoutSecs = upTo day 60 "Seconds between two reads from a guest.";
    streamTimeoutSecs = upTo day 120 "Seconds for a whole scan, clamd's verdict included.";

    debug = mkOption {
      type = types.bool;
      default = false;
      description = "Whether debug messages are logged, too.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.cid != null || cfg.uds != [ ];
        message = "services.clamd-vproxy: it would listen nowhere; set cid, or uds";
      }
      {
        assertion = cfg.uds == [ ] || cfg.user != null;
        message = "services.clamd-vproxy.user: set it to the user of the virtual machines, who owns the directories of uds";
      }
      {
        assertion = hidden == [ ];
        message = "services.clamd-vproxy: clamdSocket or uds lies in ${toString hidden}, which the service cannot see; use a directory such as /run or /var/lib/microvms";
      }
    ];

    systemd.services.clamd-vproxy = import ./service.nix unit;
    environment.systemPackages = [ cfg.package ];
    boot.kernelModules = lib.optional (cfg.cid != null) "vhost_vsock";
  };
}
