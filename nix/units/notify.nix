# virtiofs-notify@USER.service: in a guest, makes file browsers notice what the gate brought.
{
  command,
  # The mapped directories. Homes are hidden but for these.
  paths ? [ ],
  # Whether it listens on vsock; else on a Unix socket.
  vsock ? true,
  # Directories of Unix sockets to listen on.
  socketDirectories ? [ ],
  # The owner of the mapped directories: virtiofs asks the host's kernel, which knows no capability
  # of a guest.
  user ? "%i",
  jitless,
}:
let
  quoted = import ./quoted.nix;
in
{
  Unit = {
    Description = "virtiofs-notify: refresh file browsers when the host brings files";
    After = "local-fs.target";
    RequiresMountsFor = map quoted paths;
  };
  Service = import ./hardening.nix // {
    Type = "notify";
    ExecStart = command;
    Restart = "on-failure";
    RestartSec = 5;
    RestartPreventExitStatus = 2;
    TimeoutStopSec = 20;
    WatchdogSec = 30;

    User = user;
    # Only this user and root exist inside.
    PrivateUsers = true;
    ProtectHome = "tmpfs";
    BindPaths = map quoted (paths ++ socketDirectories);
    RestrictAddressFamilies = [ "AF_UNIX" ] ++ (if vsock then [ "AF_VSOCK" ] else [ ]);
    MemoryDenyWriteExecute = jitless;
  };
  Install.WantedBy = "multi-user.target";
}
