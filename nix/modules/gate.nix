# services.virtiofs-gate: the gate between the shares of virtual machines.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkEnableOption mkIf mkMerge mkOption types;

  cfg = config.services.virtiofs-gate;
  gate = import ./gate_configuration.nix { inherit lib cfg; };
  paths = import ./paths.nix { inherit lib; };

  # Verified by the program itself: what it refuses fails the build, with its own words.
  configFile =
    pkgs.runCommand "channels.json"
      {
        nativeBuildInputs = [ cfg.package ];
        channels = builtins.toJSON gate.settings;
        passAsFile = [ "channels" ];
      }
      ''
        virtiofs-gate verify --offline --config "$channelsPath"
        cp "$channelsPath" $out
      '';

  # Where it stands, for the service and for people. The path stays when the content changes, so that the service
  # is reloaded and not restarted.
  etcFile = "virtiofs/channels.json";

  programs = lib.importJSON ../programs.json;

  command = utils.escapeSystemdExecArgs (
    [
      "${cfg.package}/bin/virtiofs-gate"
      "run"
      "--config=/etc/${etcFile}"
      "--clamd-socket=${cfg.clamdSocket}"
    ]
    ++ lib.optional (cfg.scanConcurrency != null) "--scan-concurrency=${toString cfg.scanConcurrency}"
    ++ lib.optional cfg.debug "--debug"
  );

  unit = import ../units/gate.nix {
    inherit command;
    inherit (gate) basePaths;
    inherit (cfg) unprivileged;
    inherit (programs.gate) jitless;
    vsock = gate.usesVsock;
    notifyReload = true;
  };

  # Plain directories: with subvolumes of their own, files could not be renamed between them.
  directories = lib.concatMapAttrs (
    _: channel:
    let
      root = mode: {
        d = {
          inherit mode;
          user = "root";
          group = "root";
        };
      };
    in
    {
      ${channel.basePath} = root "0755";
      "${channel.basePath}/share" = root "0755";
      "${channel.basePath}/export" = root "0755";
      "${channel.basePath}/staging" = root "0700";
      "${channel.basePath}/quarantine" = root "0700";
    }
    // lib.optionalAttrs channel.exportReadOnly { "${channel.basePath}/export-ro" = root "0755"; }
    // lib.listToAttrs (
      map (
        producer:
        lib.nameValuePair "${channel.basePath}/share/${producer}" { d = channel.share; }
      ) channel.producers
    )
  ) cfg.channels;

  # Not `fileSystems`: what is mounted there is made by systemd-tmpfiles, which comes later.
  readOnlyMounts = lib.concatMap (
    channel:
    lib.optional channel.exportReadOnly {
      description = "What was found clean, read-only";
      what = "${channel.basePath}/export";
      where = "${channel.basePath}/export-ro";
      type = "none";
      options = "bind,ro,nosuid,nodev,noexec";
      unitConfig.DefaultDependencies = false;
      after = [ "systemd-tmpfiles-setup.service" ];
      requires = [ "systemd-tmpfiles-setup.service" ];
      conflicts = [ "umount.target" ];
      before = [ "umount.target" ];
      wantedBy = [ "multi-user.target" ];
    }
  ) (lib.attrValues cfg.channels);
in
{
  options.services.virtiofs-gate = {
    enable = mkEnableOption "virtiofs-gate, which shares files between virtual machines, scanned first";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { program = "gate"; };
      defaultText = lib.literalExpression "virtiofs-gate of this flake, built with your pkgs";
      description = "The package that provides `virtiofs-gate`.";
    };

    channels = mkOption {
      type = types.attrsOf (types.submodule ./channel.nix);
      default = { };
      example = lib.literalExpression ''
        {
          documents = {
            basePath = "/var/lib/virtiofs/documents";
            producers = [ "chromium-vm" "office-vm" ];
            consumers = [ "reader-vm" ];
            scanning.infectedAction = "quarantine";
          };
        }
      '';
      description = ''
        Groups of virtual machines that share files. Whatever else the configuration file of
        virtiofs-gate takes can be set here, too; the program verifies the whole at build time.
      '';
    };

    guests = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            cid = mkOption {
              type = types.nullOr (types.ints.between 3 4294967294);
              default = null;
              description = "The virtual machine's vsock CID.";
            };
            socket = mkOption {
              type = types.nullOr paths.socket;
              default = null;
              description = "Its hybrid-vsock socket instead (Firecracker, cloud-hypervisor).";
            };
          };
        }
      );
      default = { };
      example = {
        office-vm.cid = 11;
      };
      description = "Where virtual machines are told of changes, by their names in the channels.";
    };

    unprivileged = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the service runs as the user `virtiofs-gate`, with the capabilities CAP_CHOWN,
        CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_LEASE, instead of as root with only these.
      '';
    };

    maxFileSize = mkOption {
      type = types.ints.positive;
      default = 1024 * 1024 * 1024;
      description = "Bytes of the largest file that clamd is set up to scan.";
    };

    clamdSocket = mkOption {
      type = paths.socket;
      default = "/run/clamav/clamd.ctl";
      description = "The Unix socket of clamd.";
    };

    scanConcurrency = mkOption {
      type = types.nullOr (types.ints.between 1 64);
      default = null;
      description = "Scans in flight. `null`: as many as clamd has threads.";
    };

    debug = mkOption {
      type = types.bool;
      default = false;
      description = "Whether debug messages are logged, too.";
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = gate.assertions;

      # What changes in the sandbox, too, such as the directory of a new channel, takes a restart.
      systemd.services.virtiofs-gate = import ./service.nix unit // {
        reloadTriggers = [ configFile ];
      };
      systemd.tmpfiles.settings."10-virtiofs-gate" = directories;
      systemd.mounts = readOnlyMounts;

      environment.etc.${etcFile}.source = configFile;
      environment.systemPackages = [ cfg.package ];

      # A watch for each directory of each share. NixOS has a default of its own.
      boot.kernel.sysctl."fs.inotify.max_user_watches" = lib.mkOverride 900 1048576;
      # One for each share, of those that all programs of the user have together; the kernel's default
      # is 128. Where NixOS has a larger one of its own, that stays.
      boot.kernel.sysctl."fs.inotify.max_user_instances" = lib.mkOverride 1100 1024;
      boot.kernelModules = lib.optional gate.usesVsock "vhost_vsock";
    }

    (mkIf cfg.unprivileged {
      users.users.virtiofs-gate = {
        isSystemUser = true;
        group = "virtiofs-gate";
        description = "virtiofs-gate";
      };
      users.groups.virtiofs-gate = { };
    })
  ]);
}
