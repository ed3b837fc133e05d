# clamd on the host, set up so that its limits and those of its users fit together.
{ config, lib, ... }:
let
  gate = config.services.virtiofs-gate;
  vproxy = config.services.clamd-vproxy;
  inherit (config.services.clamav.daemon) settings;

  scans =
    vproxy.enable
    || gate.enable && lib.any (channel: channel.scanning.enable != false) (lib.attrValues gate.channels);

  # libclamav takes no more (INT_MAX - 2).
  largest = 2147483645;
  atMost = lib.min largest;

  channelSizes = map (channel: channel.scanning.maxFileSize) (lib.attrValues gate.channels);
  fileSize = atMost (
    lib.foldl' lib.max gate.maxFileSize (builtins.filter (size: size != null) channelSizes)
  );
  streamSize = if vproxy.enable then atMost vproxy.maxStreamSize else 0;
  size = lib.max fileSize streamSize;

  # clamd.conf(5): 25M, 1G, 4096; 0 is no limit.
  bytesOf =
    text:
    let
      found = builtins.match "([0-9]+)([kKmMgG]?)" (toString text);
      number = lib.toInt (builtins.elemAt found 0);
      factor =
        {
          "" = 1;
          k = 1024;
          m = 1024 * 1024;
          g = 1024 * 1024 * 1024;
        }
        .${lib.toLower (builtins.elemAt found 1)};
    in
    if found == null then
      0
    else if number == 0 then
      largest
    else
      number * factor;

  isYes = value: value == true || builtins.elem (lib.toLower (toString value)) [ "yes" "true" "1" ];

  sizeRule = name: least: {
    assertion = bytesOf settings.${name} >= least;
    message = "services.clamav.daemon.settings.${name} is ${toString settings.${name}}, but files or streams of ${toString least} bytes are to be scanned: raise it, or lower services.virtiofs-gate.maxFileSize, a channel's scanning.maxFileSize or services.clamd-vproxy.maxStreamSize";
  };
in
{
  config = lib.mkIf scans {
    services.clamav.daemon = {
      enable = lib.mkDefault true;
      settings = {
        # Without it clamd says "OK" to what it did not look at.
        AlertExceedsMax = lib.mkDefault true;
        MaxFileSize = lib.mkDefault size;
        # What is unpacked from an archive counts, too.
        MaxScanSize = lib.mkDefault size;
        StreamMaxLength = lib.mkDefault size;
      };
    };
    services.clamav.updater.enable = lib.mkDefault true;

    # Where clamd runs elsewhere, its limits are not known here.
    assertions = lib.optionals config.services.clamav.daemon.enable [
      {
        assertion = isYes settings.AlertExceedsMax;
        message = "services.clamav.daemon.settings.AlertExceedsMax must be true: without it clamd reports what exceeds its limits as clean";
      }
      (sizeRule "MaxFileSize" size)
      (sizeRule "MaxScanSize" size)
      (sizeRule "StreamMaxLength" streamSize)
    ];
  };
}
