# services.clamd-vclient: scans what is written in a virtual machine, with the scanner of its host.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkEnableOption mkIf mkOption types;

  cfg = config.services.clamd-vclient;
  programs = lib.importJSON ../programs.json;
  commandOf = import ./command.nix { inherit lib utils; };

  flag =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };

  paths = import ./paths.nix { inherit lib; };
  inherit (paths) isWithin;
  covering = if cfg.quarantineDir == null then [ ] else builtins.filter (isWithin cfg.quarantineDir) cfg.watch;

  contradictions = lib.intersectLists (map paths.normal cfg.watch) (map paths.normal cfg.exclude);

  bound = cfg.watch ++ lib.optional (cfg.quarantineDir != null) cfg.quarantineDir;

  sockets = [
    cfg.notifySocket
  ]
  ++ lib.optional (cfg.uds != null) cfg.uds
  ++ lib.optional cfg.socket cfg.clamdSocket;
  runtimeUserOf =
    socket:
    let
      found = builtins.match "/run/user/([0-9]+)/.*" (paths.normal socket);
    in
    if found == null then [ ] else found;
  # What is bound to be written to must not be bound again; /run is visible as it is, but for users' own.
  isSeen = path: isWithin path "/run" || builtins.any (isWithin path) bound;

  socketDirectories = lib.unique (builtins.filter (path: !isSeen path) (map dirOf sockets));

  unit = import ../units/vclient.nix {
    inherit (cfg) user;
    inherit (programs.vclient) jitless;
    vsock = !cfg.socket && cfg.uds == null;
    paths = bound;
    inherit socketDirectories;
    runtimeUsers = lib.unique (lib.concatMap runtimeUserOf sockets);
    command = commandOf {
      binary = "${cfg.package}/bin/clamd-vclient";
      options = {
        inherit (cfg)
          watch
          exclude
          cid
          port
          uds
          socket
          action
          quarantineDir
          notifySocket
          scanConcurrency
          scanExisting
          wait
          debug
          ;
        clamdSocket = if cfg.socket then cfg.clamdSocket else null;
      };
    };
  };
in
{
  options.services.clamd-vclient = {
    enable = mkEnableOption "clamd-vclient, which scans files as they are written";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { program = "vclient"; };
      defaultText = lib.literalExpression "clamd-vclient of this flake, built with your pkgs";
      description = "The package that provides `clamd-vclient`.";
    };

    watch = mkOption {
      type = types.listOf paths.text;
      example = [ "/home/user/Downloads" ];
      description = "Directories that are watched, with everything below them.";
    };

    exclude = mkOption {
      type = types.listOf paths.text;
      default = [ ];
      description = "Directories below them that are not.";
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "user";
      description = ''
        Who it runs as: the owner of the watched directories. `null`: a user of its own with
        CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_LEASE, whom the owner of the directories cannot stop.
        Where they are on virtiofs, only the owner has access.
      '';
    };

    action = mkOption {
      type = types.enum [
        "log"
        "delete"
        "quarantine"
      ];
      default = "delete";
      description = "What becomes of infected files.";
    };

    quarantineDir = mkOption {
      type = types.nullOr paths.directory;
      default = null;
      example = "/var/quarantine";
      description = "Where infected files are kept, with the action `quarantine`.";
    };

    cid = mkOption {
      type = types.ints.between 0 4294967295;
      default = 2;
      description = "The vsock CID of the machine with clamd-vproxy: 2 is the host.";
    };

    port = mkOption {
      type = types.ints.between 1 4294967294;
      default = 3400;
      description = "The vsock port of clamd-vproxy.";
    };

    uds = mkOption {
      type = types.nullOr paths.hybridSocket;
      default = null;
      description = "Reach clamd-vproxy through the Unix socket `UDS_PORT` instead.";
    };

    socket = flag "Whether a clamd in this machine is used, instead of the host's.";

    clamdSocket = mkOption {
      type = paths.socket;
      default = "/run/clamav/clamd.ctl";
      description = "The Unix socket of the clamd in this machine.";
    };

    notifySocket = mkOption {
      type = paths.socket;
      default = "/run/clamav/notify.sock";
      example = "/run/user/1000/clamav-notify.sock";
      description = ''
        The Unix socket on which the user is told. One in `/run/user/UID` lets the service see the
        user's other sockets there, too.
      '';
    };

    scanConcurrency = mkOption {
      type = types.ints.between 1 64;
      default = 4;
      description = "Scans in flight; with fewer than clamd-vproxy allows a guest slow files cannot hold all places there.";
    };

    scanExisting = flag "Whether what is there at the start is scanned, too.";
    wait = flag "Whether it waits for a scanner at the start, instead of failing and being started again.";
    debug = flag "Whether debug messages are logged, too.";
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.watch != [ ];
        message = "services.clamd-vclient.watch is empty: there is nothing to do";
      }
      {
        assertion = (cfg.action == "quarantine") == (cfg.quarantineDir != null);
        message = ''services.clamd-vclient.quarantineDir goes with action = "quarantine": set both, or neither'';
      }
      {
        assertion = contradictions == [ ];
        message = "services.clamd-vclient: ${toString contradictions} is in watch, and in exclude too; take it out of one of them";
      }
      {
        assertion = covering == [ ];
        message = "services.clamd-vclient.quarantineDir lies in ${toString covering}, which is watched: its users could take infected files out again; put it elsewhere";
      }
      {
        assertion = !(cfg.socket && cfg.uds != null);
        message = "services.clamd-vclient: socket is a clamd in this machine, uds a proxy elsewhere; set one of them";
      }
      {
        assertion = lib.intersectLists [ "/tmp" "/var/tmp" ] socketDirectories == [ ];
        message = "services.clamd-vclient: the service has a /tmp of its own, in which it sees no sockets; use another directory";
      }
    ];

    systemd.services.clamd-vclient = import ./service.nix unit;
    systemd.tmpfiles.settings = mkIf (cfg.quarantineDir != null) {
      "10-clamd-vclient".${cfg.quarantineDir}.d = {
        mode = "0700";
        user = if cfg.user == null then "root" else cfg.user;
        group = "root";
      };
    };
    environment.systemPackages = [ cfg.package ];
    services.clamav.daemon.enable = mkIf cfg.socket (lib.mkDefault true);
  };
}
