# The functions of nixpkgs' `lib` that nix/ uses, for machines without nixpkgs. Written for tests: where nixpkgs
# is there, its own library is used.
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    fromJSON
    genList
    hasAttr
    head
    isAttrs
    isList
    length
    listToAttrs
    map
    mapAttrs
    match
    readFile
    split
    stringLength
    substring
    ;
in
rec {
  inherit
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    hasAttr
    head
    length
    listToAttrs
    map
    mapAttrs
    ;

  nameValuePair = name: value: { inherit name value; };
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  filterAttrs = keep: set: listToAttrs (concatMap (n: if keep n set.${n} then [ (nameValuePair n set.${n}) ] else [ ]) (attrNames set));
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  concatMapAttrs = f: set: foldl' (all: name: all // f name set.${name}) { } (attrNames set);
  optionalAttrs = wanted: set: if wanted then set else { };

  optional = wanted: it: if wanted then [ it ] else [ ];
  optionals = wanted: list: if wanted then list else [ ];
  toList = it: if isList it then it else [ it ];
  concatLists = builtins.concatLists;
  any = builtins.any;
  all = builtins.all;
  count = keep: list: length (filter keep list);
  unique = foldl' (seen: it: if elem it seen then seen else seen ++ [ it ]) [ ];
  subtractLists = without: filter (it: !elem it without);
  intersectLists = with': filter (it: elem it with');
  max = a: b: if a > b then a else b;
  min = a: b: if a < b then a else b;

  concatStrings = concatStringsSep "";
  concatMapStrings = f: list: concatStringsSep "" (map f list);
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  stringToCharacters = text: genList (at: substring at 1 text) (stringLength text);
  splitString = separator: text: filter builtins.isString (split (escapeRegex separator) text);
  escapeRegex = text: concatMapStrings (c: if match "[a-zA-Z0-9/]" c == null then "\\${c}" else c) (stringToCharacters text);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  removeSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    if rest >= 0 && substring rest (-1) text == suffix then substring 0 rest text else text;
  toLower =
    builtins.replaceStrings (stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
      stringToCharacters "abcdefghijklmnopqrstuvwxyz"
    );
  toInt = text: fromJSON text;
  importJSON = path: fromJSON (readFile path);

  assertMsg = holds: message: holds || throw message;
  getLib = package: package.lib or package;
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  licenses.mit = "MIT";
  fileset = {
    unions = list: list;
    toSource = { root, fileset }: { inherit root fileset; };
  };
  setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (builtins.tail path) value; };

  inherit (import ./modules.nix { inherit lib; })
    evalModules
    mkDefault
    mkEnableOption
    mkForce
    mkIf
    mkMerge
    mkOption
    mkOverride
    types
    ;
  lib = import ./lib.nix;
}
