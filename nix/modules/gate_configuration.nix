# From services.virtiofs-gate to the configuration file, and what is wrong with it before there is one.
{ lib, cfg }:
let
  inherit (import ./paths.nix { inherit lib; }) hidden isWithin normal;

  # What NixOS alone uses.
  ownKeys = [
    "share"
    "exportReadOnly"
  ];

  withoutNull =
    value:
    if builtins.isAttrs value then
      lib.filterAttrs (_: it: it != null && it != { }) (lib.mapAttrs (_: withoutNull) value)
    else
      value;

  # A guest's address: its CID, or the path of its socket.
  addressOf =
    guest:
    if builtins.isString guest && cfg.guests ? ${guest} then
      let
        inherit (cfg.guests.${guest}) cid socket;
      in
      if cid != null then cid else socket
    else
      guest;

  isName = guest: builtins.isString guest && !lib.hasPrefix "/" guest;

  # Not the consumers: virtiofs-notify refreshes by writing, and their share is read-only.
  receivers = channel: lib.subtractLists channel.diodeProducers channel.producers;

  # Whom the channel names, in either of the two vocabularies. `null`: nobody.
  named =
    channel:
    if channel.notify.guests != null then
      channel.notify.guests
    else
      channel.guestNotify.guests or null;

  guestsOf =
    channel:
    if named channel != null then
      named channel
    else
      builtins.filter (name: cfg.guests ? ${name}) (receivers channel);

  addressesOf = channel: map addressOf (guestsOf channel);

  written =
    channel:
    withoutNull (
      removeAttrs channel ownKeys
      // lib.optionalAttrs (channel.notify.guests == null && channel ? guestNotify.guests) {
        guestNotify = removeAttrs channel.guestNotify [ "guests" ];
      }
      // {
        notify = channel.notify // {
          guests =
            let
              addresses = addressesOf channel;
            in
            if addresses == [ ] then null else addresses;
        };
      }
    );

  twice = list: lib.unique (builtins.filter (it: lib.count (other: other == it) list > 1) list);

  quoted = lib.concatMapStringsSep ", " (it: "`${toString it}`");

  channelNames = builtins.attrNames cfg.channels;

  inChannels = make: lib.concatMap (name: make name cfg.channels.${name}) channelNames;

  rule = holds: message: {
    assertion = holds;
    message = "services.virtiofs-gate: ${message}";
  };

  visible =
    option: path: advice:
    let
      places = if path == null then [ ] else hidden path;
    in
    rule (places == [ ]) "${option}: the service cannot see ${quoted places}; ${advice}";

  guestAssertions =
    let
      cids = builtins.filter (cid: cid != null) (lib.mapAttrsToList (_: guest: guest.cid) cfg.guests);
    in
    [
      (rule (twice cids == [ ])
        "guests: two virtual machines have the CID ${quoted (twice cids)}; give each one of its own"
      )
    ]
    ++ lib.mapAttrsToList (
      name: guest:
      rule ((guest.cid == null) != (guest.socket == null))
        "guests.${name}: set either `cid` or `socket`"
    ) cfg.guests
    ++ lib.mapAttrsToList (
      name: guest: visible "guests.${name}.socket" guest.socket "use a directory such as /var/lib/microvms"
    ) cfg.guests;

  channelAssertions = inChannels (
    name: channel:
    let
      vms = channel.producers ++ channel.consumers;
      told = if named channel == null then [ ] else named channel;
      names = builtins.filter isName told;
      strangers = lib.subtractLists vms names;
      unknown = builtins.filter (guest: !(cfg.guests ? ${guest})) (lib.intersectLists vms names);
      repeated = twice (addressesOf channel);
      place = "channels.${name}";
    in
    [
      (rule (strangers == [ ])
        "${place}.notify.guests: ${quoted strangers} is neither a producer nor a consumer of the channel"
      )
      (rule (unknown == [ ])
        "${place}.notify.guests: ${quoted unknown} has no address; set guests.NAME.cid or guests.NAME.socket"
      )
      (rule (
        repeated == [ ]
      ) "${place}.notify.guests: ${quoted repeated} is listed twice; list each guest once")
      (visible "${place}.basePath" channel.basePath "use a directory such as /var/lib/virtiofs/${name}")
      (rule (!isWithin channel.basePath "/run")
        "${place}.basePath: /run is gone after the next start; use a directory such as /var/lib/virtiofs/${name}"
      )
      (visible "${place}.userNotify.socket" channel.userNotify.socket "let the user listen on /run/clamav/notify.sock")
      (visible "${place}.scanning.notifySocket" channel.scanning.notifySocket "let the user listen on /run/clamav/notify.sock")
    ]
  );

  # Each pair once.
  overlapAssertions = inChannels (
    name: channel:
    lib.concatMap (
      other:
      let
        theirs = cfg.channels.${other}.basePath;
      in
      lib.optional (other > name) (
        rule (!(isWithin channel.basePath theirs || isWithin theirs channel.basePath))
          "channels.${name}.basePath and channels.${other}.basePath overlap (${channel.basePath}, ${theirs}): a quarantine or staging directory would lie within reach of a guest; separate them"
      )
    ) channelNames
  );
in
{
  # The content of the file.
  settings = lib.mapAttrs (_: written) cfg.channels;

  # Whether a guest is reached by its CID.
  usesVsock = builtins.any builtins.isInt (inChannels (_: addressesOf));

  basePaths = map normal (inChannels (_: channel: [ channel.basePath ]));

  assertions = [
    (rule (cfg.channels != { }) "channels is empty: there is nothing to do")
    (visible "clamdSocket" cfg.clamdSocket "let clamd listen in /run")
  ]
  ++ guestAssertions
  ++ channelAssertions
  ++ overlapAssertions;
}
