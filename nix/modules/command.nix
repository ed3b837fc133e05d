# Options as NixOS values → the arguments of a program. `null` and `false` are left out, `true` is a flag,
# a list stands for the option given again and again.
{ lib, utils }:
{ binary, options }:
let
  dashed =
    name: lib.concatMapStrings (
      character:
      if builtins.match "[A-Z]" character == null then character else "-${lib.toLower character}"
    ) (lib.stringToCharacters name);

  argument =
    name: value:
    if value == null || value == false then
      [ ]
    else if value == true then
      [ "--${dashed name}" ]
    else
      map (one: "--${dashed name}=${toString one}") (lib.toList value);
in
utils.escapeSystemdExecArgs (
  [ binary ] ++ lib.concatLists (lib.mapAttrsToList argument options)
)
