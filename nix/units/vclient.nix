# clamd-vclient.service: in a guest, scans what is written into chosen directories.
{
  command,
  # Directories that are watched, and the quarantine. Homes are hidden but for these.
  paths ? [ ],
  # Whether it reaches the scanner through the host.
  vsock ? true,
  # Directories of sockets that it connects to, where the sandbox would hide them. They may be missing.
  socketDirectories ? [ ],
  # Users, by their IDs, in whose /run/user/UID such sockets are.
  runtimeUsers ? [ ],
  # The user whose files are watched. `null`: a user of its own that may read and remove anybody's
  # files below `paths`, so that what runs as the watched user cannot stop it.
  user ? null,
  jitless,
}:
let
  hardening = import ./hardening.nix;
  quoted = import ./quoted.nix;

  # FOWNER: to take away modes from files in quarantine, and files out of sticky directories. LEASE: to ask whether a
  # file is open for writing.
  capabilities = "CAP_DAC_OVERRIDE CAP_FOWNER CAP_LEASE";

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
      # Here the program looks for clamd unless it is told otherwise. Not all of /var/run: what is closed
      # below /run would be open there.
      "-/run/clamav:/var/run/clamav"
    ]
    ++ sockets;
    ReadOnlyPaths = inside hardening.ReadOnlyPaths;
    InaccessiblePaths = map inside hardening.InaccessiblePaths;
  };

  sockets = map (path: quoted "-${path}") (socketDirectories ++ map (uid: "/run/user/${uid}") runtimeUsers);

  # They are there before a user logs in, and as long as the service.
  runtimeDirectories = map (uid: "user-runtime-dir@${uid}.service") runtimeUsers;

  # "+" is for paths below the root directory, "-" for paths that may be missing.
  inside =
    path:
    builtins.replaceStrings [ "^-/" "^/" ] [ "-+/" "+/" ] "^${path}";
in
{
  Unit = {
    Description = "clamd-vclient: scan what is written, with the host's scanner";
    After = [ "local-fs.target clamav-daemon.service" ] ++ runtimeDirectories;
    Wants = runtimeDirectories;
    RequiresMountsFor = map quoted paths;
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
      BindPaths = map quoted paths;
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
          BindReadOnlyPaths = sockets;
        }
    );
  Install.WantedBy = "multi-user.target";
}
