# The sandbox that all four daemons share. Each unit adds what it needs on top, and says why.
#
# Directives of systemd 252 and later. Written with builtins only, so that plain `nix-instantiate`
# renders the units for systems without NixOS.
{
  NoNewPrivileges = true;
  CapabilityBoundingSet = "";
  AmbientCapabilities = "";

  # What there is to see: the system read-only, and neither homes, devices nor other processes.
  ProtectSystem = "strict";
  ProtectHome = true;
  PrivateTmp = true;
  PrivateDevices = true;
  DevicePolicy = "closed";
  PrivateIPC = true;
  PrivateMounts = true;
  ProtectProc = "invisible";
  ProcSubset = "pid";
  KeyringMode = "private";
  RemoveIPC = true;

  # ProtectSystem= alone leaves it writable where another directive mounts something of its own
  # (ProtectProc=, ProtectKernelTunables= and others; seen with systemd 252).
  ReadOnlyPaths = "/run";

  # Unix sockets are reachable on a read-only file system, too: these lead to root, or to secrets.
  InaccessiblePaths = [
    "-/run/systemd/private"
    "-/run/dbus"
    "-/run/docker.sock"
    "-/run/containerd"
    "-/run/podman"
    "-/run/libvirt"
    "-/etc/shadow"
    "-/etc/gshadow"
    "-/etc/ssh"
    "-/etc/ssl/private"
    "-/boot"
    # Shared memory and queues of other programs.
    "-/dev/shm"
    "-/dev/mqueue"
  ];

  # No network. AF_VSOCK, where a unit adds it, is not part of a network namespace.
  PrivateNetwork = true;
  IPAddressDeny = "any";

  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  LockPersonality = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  # Also makes openat2(2) fail with ENOSYS; the daemons then walk paths component by component.
  RestrictSUIDSGID = true;

  SystemCallArchitectures = "native";
  # Refused calls fail instead of killing: the runtime tries some that it can do without.
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources @keyring @setuid"
  ];

  UMask = "0077";
  LimitCORE = 0;
  TasksMax = 128;
}
