# A unit as an attribute set → the text of its file: systemd.syntax(7).
let
  value =
    name: it:
    if builtins.isBool it then
      (if it then "yes" else "no")
    else if builtins.isInt it then
      toString it
    else if builtins.isString it && builtins.match ".*\n.*" it == null then
      it
    else
      throw "units: ${name} must be a truth value, a number, or a text of one line";

  # A list stands for the option given again and again.
  lines =
    section: name:
    let
      it = section.${name};
    in
    if builtins.isList it then map (one: "${name}=${value name one}") it else [ "${name}=${value name it}" ];

  sectionText =
    unit: title:
    [ "[${title}]" ] ++ builtins.concatMap (lines unit.${title}) (builtins.attrNames unit.${title});
in
unit:
builtins.concatStringsSep "\n\n" (
  map (title: builtins.concatStringsSep "\n" (sectionText unit title)) (
    builtins.filter (title: unit ? ${title}) [
      "Unit"
      "Service"
      "Install"
    ]
  )
)
+ "\n"
