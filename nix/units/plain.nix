# The unit files for systems without NixOS, by their paths below nix/systemd/.
let
  text = import ./text.nix;
  programs = builtins.fromJSON (builtins.readFile ../programs.json);
  bin = name: "/usr/local/bin/${programs.${name}.binary}";
  jitless = name: programs.${name}.jitless;

  header = ''
    # Generated from nix/units/ by `deno task units`: the reasons stand there. Do not edit; add a
    # drop-in with `systemctl edit`.
  '';

  gate =
    options:
    import ./gate.nix (
      {
        command = "${bin "gate"} run --config /etc/virtiofs/channels.json --clamd-socket /run/clamav/clamd.ctl";
        check = "${bin "gate"} verify --config /etc/virtiofs/channels.json";
        jitless = jitless "gate";
      }
      // options
    );

  vclient =
    options:
    withOptions (
      import ./vclient.nix (
        {
          command = "${bin "vclient"} $OPTIONS";
          jitless = jitless "vclient";
        }
        // options
      )
    );

  # Options come from a drop-in, beside the directories that they name.
  withOptions = unit: unit // { Service = unit.Service // { Environment = "OPTIONS="; }; };

  # What a unit says otherwise than another one.
  dropIn = from: to: {
    Service = builtins.listToAttrs (
      builtins.concatMap (
        name:
        if (from.Service.${name} or null) == to.Service.${name} then
          [ ]
        else
          [
            {
              inherit name;
              value = to.Service.${name};
            }
          ]
      ) (builtins.attrNames to.Service)
    );
  };

  files = {
    "virtiofs-gate.service" = gate { };
    # Optional drop-ins.
    "virtiofs-gate.service.d/unprivileged.conf" = dropIn (gate { }) (gate { unprivileged = true; });
    "virtiofs-gate.service.d/vsock.conf" = dropIn (gate { }) (gate { vsock = true; });
    "clamd-vproxy.service" = withOptions (
      import ./vproxy.nix {
        # Its own defaults, so that OPTIONS can name another clamd.
        command = "${bin "vproxy"} $OPTIONS";
        jitless = jitless "vproxy";
      }
    );
    "clamd-vclient@.service" = vclient { user = "%i"; };
    "clamd-vclient.service" = vclient { };
    "virtiofs-notify@.service" = withOptions (
      import ./notify.nix {
        command = "${bin "notify"} $OPTIONS";
        jitless = jitless "notify";
      }
    );
    "user/virtiofs-notify.service" = withOptions (
      import ./notify_user.nix {
        command = "${bin "notify"} $OPTIONS";
        jitless = jitless "notify";
      }
    );
  };
in
builtins.mapAttrs (_: unit: header + "\n" + text unit) files
