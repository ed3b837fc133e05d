# Paths in options: what fits, what lies in what, and what a sandbox hides.
{ lib }:
let
  inherit (lib) types;

  # Without trailing slashes, so that paths can be compared.
  normal = path: "/" + lib.concatStringsSep "/" (builtins.filter (part: part != "") (lib.splitString "/" path));
  isWithin = path: directory: lib.hasPrefix "${normal directory}/" "${normal path}/";
in
{
  inherit normal isWithin;

  # For lines of tmpfiles.d(5) and of mounts, which NixOS writes as they are.
  directory = types.addCheck types.path (
    path: builtins.match "[^\\%'[:cntrl:]]*" (toString path) != null
  ) // {
    description = "absolute path without %, ', \\ and control characters";
  };

  # What the kernel takes (and each program, or it ends with a wrong command line).
  socket = types.addCheck types.path (path: builtins.stringLength (toString path) <= 107) // {
    description = "absolute path of a socket, of at most 107 bytes";
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
