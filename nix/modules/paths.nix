# Paths in options: what fits, what lies in what, and what a sandbox hides.
{ lib }:
let
  inherit (lib) types;

  # Without trailing slashes, so that paths can be compared.
  normal = path: "/" + lib.concatStringsSep "/" (builtins.filter (part: part != "") (lib.splitString "/" path));
  isWithin = path: directory: lib.hasPrefix "${normal directory}/" "${normal path}/";
  # A path that is no text, because it stands there without quotes, would become its copy in the store.
  text = types.addCheck types.path builtins.isString // {
    description = "absolute path, in quotes";
  };

  # What the kernel takes (and each program, or it ends with a wrong command line).
  longestSocket = 107;
in
{
  inherit normal isWithin text;

  # For lines of tmpfiles.d(5) and of mounts, which NixOS writes as they are.
  directory = types.addCheck text (
    path: builtins.match "[^\\%'[:cntrl:]]*" path != null
  ) // {
    description = "absolute path, in quotes, without %, ', \\ and control characters";
  };

  socket = types.addCheck text (path: builtins.stringLength path <= longestSocket) // {
    description = "absolute path of a socket, in quotes, of at most ${toString longestSocket} bytes";
  };

  # Of hybrid vsock: the programs put "_" and a port behind it.
  hybridSocket =
    let
      longest = longestSocket - builtins.stringLength "_4294967294";
    in
    types.addCheck text (path: builtins.stringLength path <= longest)
    // {
      description = "absolute path of a socket, in quotes, of at most ${toString longest} bytes before the port";
    };

  # ProtectHome= and PrivateTmp=: which of these a path lies in.
  hidden =
    path:
    builtins.filter (isWithin path) [
      "/home"
      "/root"
      "/run/user"
      "/tmp"
      "/var/tmp"
    ];
}
