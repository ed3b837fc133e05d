# virtiofs-notify.service of a user's own manager. It may set up no mounts without a user namespace,
# so what is left of the sandbox are the limits on system calls and sockets.
{ command, vsock ? true, jitless }:
let
  full = import ./notify.nix { inherit command vsock jitless; };
  kept = [
    "ExecStart"
    "LimitCORE"
    "LockPersonality"
    "MemoryDenyWriteExecute"
    "NoNewPrivileges"
    "Restart"
    "RestartPreventExitStatus"
    "RestartSec"
    "RestrictAddressFamilies"
    "RestrictNamespaces"
    "RestrictRealtime"
    "RestrictSUIDSGID"
    "SystemCallArchitectures"
    "SystemCallErrorNumber"
    "SystemCallFilter"
    "TasksMax"
    "TimeoutStopSec"
    "Type"
    "UMask"
    "WatchdogSec"
  ];
in
{
  Unit.Description = full.Unit.Description;
  Service = builtins.listToAttrs (
    map (name: {
      inherit name;
      value = full.Service.${name};
    }) kept
  );
  Install.WantedBy = "default.target";
}
