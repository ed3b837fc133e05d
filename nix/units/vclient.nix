# clamd-vclient.service: in a guest, scans what is written into chosen directories.
{
  command,
  # Directories that are watched, and the quarantine. Homes are hidden but for these.
  paths ? [ ],
  # Whether it reaches the scanner through the host.
  vsock ? true,
  # Directories of sockets, where the sandbox would hide them.
  socketDirectories ? [ ],
  # The user whose files are watched. `null`: a user of its own that may read and remove anybody's
  # files below `paths`, so that what runs as the watched user cannot stop it.
  user ? null,
  jitless,
}:
let
  hardening = import ./hardening.nix;

  # FOWNER: to take away modes from files in quarantine, and files out of sticky directories.
  capabilities = "CAP_DAC_OVERRIDE CAP_FOWNER";

  # Whoever may read all files sees none but these: an empty root, with what a program needs.
  ownRoot = {
    RootDirectory = "/run/clamd-vclient";
    RuntimeDirectory = "clamd-vclient";
    RuntimeDirectoryMode = "0755";
    MountAPIVFS = true;
    BindReadOnlyPaths = [
      "-/usr"
      "-/lib"
      "-/lib64"
      "-/nix/store"
      "-/etc/ld.so.cache"
      # Sockets of scanners and users come and go.
      "/run"
    ];
    ReadOnlyPaths = inside hardening.ReadOnlyPaths;
    InaccessiblePaths = map inside hardening.InaccessiblePaths;
  };

  # "+" is for paths below the root directory, "-" for paths that may be missing.
  inside =
    path:
    builtins.replaceStrings [ "^-/" "^/" ] [ "-+/" "+/" ] "^${path}";
in
{
  Unit = {
    Description = "clamd-vclient: scan what is written, with the host's scanner";
    After = "local-fs.target clamav-daemon.service";
    RequiresMountsFor = paths;
  };
  Service =
    hardening
    // {
      Type = "notify";
      ExecStart = command;
      # It refuses to start without a scanner, which may come any time.
      Restart = "on-failure";
      RestartSec = 5;
      RestartPreventExitStatus = 2;
      TimeoutStopSec = 20;
      WatchdogSec = 30;
      LimitNOFILE = 65536;

      ProtectHome = "tmpfs";
      BindPaths = paths ++ socketDirectories;
      RestrictAddressFamilies = [ "AF_UNIX" ] ++ (if vsock then [ "AF_VSOCK" ] else [ ]);
      MemoryDenyWriteExecute = jitless;
    }
    // (
      if user == null then
        ownRoot
        // {
          DynamicUser = true;
          CapabilityBoundingSet = capabilities;
          AmbientCapabilities = capabilities;
        }
      else
        {
          User = user;
          PrivateUsers = true;
        }
    );
  Install.WantedBy = "multi-user.target";
}
