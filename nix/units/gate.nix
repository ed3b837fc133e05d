# virtiofs-gate.service: the host's gate between the virtual machines' shares.
{
  command,
  # Looks for faults in a changed configuration, so that `systemctl reload` fails and shows them. `null`: it was
  # looked at before.
  check ? null,
  # Whether systemd itself asks for a reload and waits for its end: Type=notify-reload, from version 253 on.
  notifyReload ? false,
  # Where the channels lie. ONE path a channel, or one for all: two of them are two mounts, and no
  # file can be renamed from one mount to another.
  basePaths ? [ "-/var/lib/virtiofs" ],
  # Whether guests are notified by CID.
  vsock ? false,
  # As the user virtiofs-gate instead of root.
  unprivileged ? false,
  jitless,
}:
let
  # Owners and modes are kept (CHOWN, FOWNER), in directories that belong to the guests' users
  # (DAC_OVERRIDE), and whether a guest still has one of its files open is asked by a lease (LEASE).
  capabilities = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_LEASE";
  hardening = import ./hardening.nix;
  quoted = import ./quoted.nix;
  # "-/…" may be missing.
  withoutDash = path: builtins.head (builtins.match "-?(.*)" path);
in
{
  Unit = {
    Description = "virtiofs-gate: share files between virtual machines, scanned first";
    # Without clamd it starts all the same, and holds what cannot be scanned.
    Wants = "clamav-daemon.service";
    After = "clamav-daemon.service clamav-daemon.socket local-fs.target systemd-tmpfiles-setup.service";
    RequiresMountsFor = map (path: quoted (withoutDash path)) basePaths;
  };
  Service =
    hardening
    // {
      Type = if notifyReload then "notify-reload" else "notify";
      ExecStart = command;
      ExecReload =
        (if check == null then [ ] else [ check ])
        ++ (if notifyReload then [ ] else [ "/bin/kill -HUP $MAINPID" ]);
      Restart = "on-failure";
      RestartSec = 5;
      # A mistake on the command line does not go away by itself.
      RestartPreventExitStatus = 2;
      # Extended by the daemon as long as it gets on with large trees.
      TimeoutStartSec = 90;
      TimeoutStopSec = 20;
      WatchdogSec = 30;
      # A descriptor for each watched directory of the walks, and for each file in work.
      LimitNOFILE = 65536;

      CapabilityBoundingSet = capabilities;
      SystemCallFilter = hardening.SystemCallFilter ++ [ "@chown" ];
      RestrictAddressFamilies = [ "AF_UNIX" ] ++ (if vsock then [ "AF_VSOCK" ] else [ ]);
      ReadWritePaths = map quoted basePaths;
      # Where Deno's permissions end: ffi/doorway.ts.
      RuntimeDirectory = "virtiofs-gate";
      RuntimeDirectoryMode = "0700";
      MemoryDenyWriteExecute = jitless;
    }
    // (
      if unprivileged then
        {
          User = "virtiofs-gate";
          Group = "virtiofs-gate";
          AmbientCapabilities = capabilities;
        }
      else
        { }
    );
  Install.WantedBy = "multi-user.target";
}
