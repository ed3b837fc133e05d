# One channel of services.virtiofs-gate: the options of the configuration file, and what NixOS does around it.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  paths = import ./paths.nix { inherit lib; };

  # The name of a directory, and part of a line of tmpfiles.d(5).
  vmName = types.strMatching "[^/\\%'[:space:][:cntrl:]]+";
  # Longer waits, sizes and the like are checked by the program itself at build time.
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      description = description + " `null`: the program's own default.";
    };
in
{
  freeformType = types.attrsOf types.anything;

  options = {
    basePath = mkOption {
      type = paths.directory;
      example = "/var/lib/virtiofs/documents";
      description = ''
        The channel's directory, on btrfs or on XFS with reflinks. Its `share/NAME` is given to the
        producer NAME, and its `export` (or `export-ro`) to consumers. Mount the file system with
        `nosuid,nodev,noexec`.
      '';
    };

    producers = mkOption {
      type = types.nonEmptyListOf vmName;
      example = [
        "chromium-vm"
        "office-vm"
      ];
      description = "Virtual machines with a share that they write to and read from.";
    };

    diodeProducers = mkOption {
      type = types.listOf vmName;
      default = [ ];
      description = "Those of the producers that only give: nothing of the others reaches them.";
    };

    consumers = mkOption {
      type = types.listOf vmName;
      default = [ ];
      example = [ "reader-vm" ];
      description = "Virtual machines that read what was found clean.";
    };

    debounceMs = optional types.ints.unsigned "Milliseconds of quiet before a changed file is looked at.";

    conflictCopies = optional types.bool "Whether the loser of a conflict is kept beside the winner.";

    scanning = {
      enable = optional types.bool "Whether files are scanned; if not, every file counts as clean.";
      infectedAction = optional (types.enum [
        "log"
        "delete"
        "quarantine"
      ]) "What happens to an infected file in its author's share.";
      permissive = optional types.bool "Whether files whose scan failed travel unscanned.";
      ignoreFilePatterns = optional (types.listOf types.str) "File names that are left alone.";
      ignorePathPatterns = optional (types.listOf types.str) "Paths that are left alone.";
      oversize = optional (types.enum [
        "hold"
        "allow"
      ]) "What happens to files that are too large to be scanned.";
      maxFileSize = optional types.ints.positive "Bytes up to which files count as scannable.";
      notifySocket = optional paths.socket "The same as {option}`userNotify.socket`.";
    };

    userNotify = {
      enable = optional types.bool "Whether the user is told of infected files.";
      socket = optional paths.socket "The Unix socket on which the user is told.";
    };

    notify = {
      guests = mkOption {
        type = types.nullOr (
          types.listOf (
            types.oneOf [
              types.ints.positive
              types.str
            ]
          )
        );
        default = null;
        example = [
          "office-vm"
          11
        ];
        description = ''
          Whom to tell of changes: names of {option}`services.virtiofs-gate.guests`, CIDs, or paths
          of hybrid-vsock sockets. `null`: all of the channel's producers that receive files and have an
          address in {option}`services.virtiofs-gate.guests`. Not the consumers: virtiofs-notify can
          refresh nothing that is read-only.
        '';
      };
      port = optional types.port "The vsock port in the guests.";
    };

    share = {
      user = mkOption {
        type = types.str;
        default = "1000";
        description = "Who owns the producers' shares: a user of the guests, as the host counts.";
      };
      group = mkOption {
        type = types.str;
        default = "1000";
        description = "The group of the producers' shares.";
      };
      mode = mkOption {
        type = types.strMatching "[0-7]{3,4}";
        default = "0755";
        description = "The mode of the producers' shares.";
      };
    };

    exportReadOnly = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `export` is also there as `export-ro`, which cannot be written to.";
    };
  };
}
