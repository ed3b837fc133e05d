# clamd-vproxy.service: lets guests scan with the host's clamd, and do nothing else with it.
{
  command,
  # Whether it listens on vsock; else on hybrid-vsock sockets alone.
  vsock ? true,
  # Directories of hybrid-vsock sockets. They belong to the VMM's user, so the proxy must be it.
  socketDirectories ? [ ],
  # `null`: a user that exists as long as the service.
  user ? null,
  jitless,
}:
{
  Unit = {
    Description = "clamd-vproxy: virus scans for virtual machines";
    Wants = "clamav-daemon.service";
    After = "clamav-daemon.service clamav-daemon.socket";
  };
  Service =
    import ./hardening.nix
    // {
      Type = "notify";
      ExecStart = command;
      # It refuses to start without clamd's socket, which may come any time.
      Restart = "on-failure";
      RestartSec = 5;
      RestartPreventExitStatus = 2;
      TimeoutStopSec = 20;
      WatchdogSec = 30;
      # Two for each of up to 1,000 connections, and some more to take leave of guests. The binaries do not raise the
      # usual 1,024 themselves, as `deno run` does.
      LimitNOFILE = 4096;

      RestrictAddressFamilies = [ "AF_UNIX" ] ++ (if vsock then [ "AF_VSOCK" ] else [ ]);
      MemoryDenyWriteExecute = jitless;
    }
    // (
      if user == null then
        {
          DynamicUser = true;
          # Nobody's files but its own, whatever their modes say.
          PrivateUsers = true;
        }
      else
        {
          User = user;
          ReadWritePaths = map (import ./quoted.nix) socketDirectories;
        }
    );
  Install.WantedBy = "multi-user.target";
}
