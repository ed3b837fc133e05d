# A small module system that works like nixpkgs' own as far as nix/modules/ needs it: options with types, imports,
# priorities, conditions, submodules with a free form. Its errors are worded alike.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    head
    isAttrs
    isFunction
    length
    map
    ;

  defaultPriority = 100;
  show = builtins.concatStringsSep ".";

  # Conditions, merges and priorities of one definition → plain definitions.
  discharge =
    priority: value:
    let
      kind = if isAttrs value then value._type or null else null;
    in
    if kind == "if" then
      (if value.condition then discharge priority value.content else [ ])
    else if kind == "merge" then
      concatMap (discharge priority) value.contents
    else if kind == "override" then
      discharge value.priority value.content
    else
      [ { inherit priority value; } ];

  # Those of the best priority.
  strongest =
    definitions:
    let
      best = foldl' (least: it: lib.min least it.priority) 9999 definitions;
    in
    map (it: it.value) (filter (it: it.priority == best) definitions);

  isOption = it: isAttrs it && (it._type or null) == "option";

  # One value of several definitions.
  mergeOption =
    place: option: definitions:
    let
      values = strongest (
        concatMap (discharge defaultPriority) definitions
        ++ lib.optional (option ? default) {
          priority = 1500;
          value = option.default;
        }
      );
    in
    if values == [ ] then
      throw "The option `${show place}' was accessed but has no value defined. Try setting the option."
    else
      mergeType place (option.type or types.anything) values;

  # builtins.toJSON would copy a path into the store.
  printed =
    value:
    if builtins.isPath value then
      toString value
    else if builtins.isList value then
      "[ ${builtins.concatStringsSep " " (map printed value)} ]"
    else
      builtins.toJSON value;

  mergeType =
    place: type: values:
    let
      bad = filter (value: !type.check value) values;
    in
    if bad != [ ] then
      throw "A definition for option `${show place}' is not of type `${type.description}'. Definition values: ${printed (head bad)}"
    else
      type.merge place values;

  onlyOne =
    place: values:
    if lib.all (value: value == head values) values then
      head values
    else
      throw "The option `${show place}' has conflicting definition values: ${builtins.toJSON values}";

  # Definitions of a set → definitions by name; conditions are pushed inside, so that names need no values.
  byName =
    definitions:
    let
      push =
        wrap: value:
        let
          kind = if isAttrs value then value._type or null else null;
        in
        if kind == "if" then
          push (content: wrap (mkIf value.condition content)) value.content
        else if kind == "merge" then
          concatMap (push wrap) value.contents
        else if kind == "override" then
          push (content: wrap (mkOverride value.priority content)) value.content
        else if isAttrs value then
          [ (builtins.mapAttrs (_: wrap) value) ]
        else
          throw "a set was expected, not ${builtins.toJSON value}";
      sets = concatMap (push (value: value)) definitions;
    in
    lib.genAttrs (lib.unique (concatMap attrNames sets)) (
      name: concatMap (set: lib.optional (set ? ${name}) set.${name}) sets
    );

  # The values of a tree of options.
  evalTree =
    place: options: freeform: definitions:
    let
      given = byName definitions;
      declared = builtins.mapAttrs (
        name: option:
        if isOption option then
          mergeOption (place ++ [ name ]) option (given.${name} or [ ])
        else
          evalTree (place ++ [ name ]) option null (given.${name} or [ ])
      ) options;
      extra = removeAttrs given (attrNames options);
      free = builtins.mapAttrs (
        name: values: mergeOption (place ++ [ name ]) { type = freeform.element; } values
      ) extra;
      unknown = filter (name: lib.concatMap (discharge 0) extra.${name} != [ ]) (attrNames extra);
    in
    if freeform == null && unknown != [ ] then
      throw "The option `${show (place ++ [ (head unknown) ])}' does not exist."
    else
      (if freeform == null then { } else free) // declared;

  mergeOptions =
    a: b:
    a
    // builtins.mapAttrs (
      name: option: if a ? ${name} && !isOption option then mergeOptions a.${name} option else option
    ) b;

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      arguments = specialArgs // {
        inherit config lib;
      };
      collect =
        module:
        let
          loaded = if builtins.isPath module || builtins.isString module then import module else module;
          set = if isFunction loaded then loaded arguments else loaded;
          parts =
            if set ? options || set ? config then
              set
            else
              {
                imports = set.imports or [ ];
                config = removeAttrs set [ "imports" ];
              };
        in
        concatMap collect (parts.imports or [ ]) ++ [ parts ];
      all = concatMap collect modules;
      options = foldl' mergeOptions { } (map (part: part.options or { }) all);
      freeform = foldl' (found: part: part.freeformType or found) null all;
      config = evalTree prefix options freeform (map (part: part.config or { }) all);
    in
    {
      inherit config options;
    };

  mkOption = option: option // { _type = "option"; };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };

  simple = description: check: {
    inherit description check;
    merge = onlyOne;
  };

  between =
    least: most:
    simple "integer between ${toString least} and ${toString most} (both inclusive)" (
      it: builtins.isInt it && it >= least && it <= most
    );

  mergeAnything =
    place: values:
    if length values == 1 then
      # What is nested may still hold conditions.
      (if isAttrs (head values) && !(head values ? outPath) then
        builtins.mapAttrs (name: mergeOption (place ++ [ name ]) { type = types.anything; }) (byName values)
      else
        head values)
    else if lib.all isAttrs values then
      builtins.mapAttrs (name: mergeOption (place ++ [ name ]) { type = types.anything; }) (byName values)
    else if lib.all builtins.isList values then
      builtins.concatLists values
    else
      onlyOne place values;

  types = {
    bool = simple "boolean" builtins.isBool;
    str = simple "string" builtins.isString;
    path = simple "absolute path" (
      it: builtins.isPath it || builtins.isString it && lib.hasPrefix "/" it
    );
    addCheck = type: check: type // { check = it: type.check it && check it; };
    package = simple "package" isAttrs;
    enum =
      words: simple "one of ${builtins.concatStringsSep ", " (map builtins.toJSON words)}" (it: builtins.elem it words);
    strMatching =
      pattern: simple "string matching the pattern ${pattern}" (
        it: builtins.isString it && builtins.match pattern it != null
      );
    ints = {
      inherit between;
      positive = simple "positive integer, meaning >0" (it: builtins.isInt it && it > 0);
      unsigned = simple "unsigned integer, meaning >=0" (it: builtins.isInt it && it >= 0);
    };
    port = between 0 65535 // {
      description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)";
    };
    nullOr = type: {
      description = "null or ${type.description}";
      check = it: it == null || type.check it;
      merge =
        place: values: if lib.all (it: it == null) values then null else type.merge place values;
    };
    oneOf = list: {
      description = builtins.concatStringsSep " or " (map (type: type.description) list);
      check = it: lib.any (type: type.check it) list;
      merge = onlyOne;
    };
    listOf = type: {
      description = "list of ${type.description}";
      check = builtins.isList;
      merge =
        place: values: map (it: mergeType (place ++ [ "*" ]) type [ it ]) (builtins.concatLists values);
    };
    nonEmptyListOf =
      type:
      types.listOf type
      // {
        description = "non-empty list of ${type.description}";
        check = it: builtins.isList it && it != [ ];
      };
    attrsOf = type: {
      description = "attribute set of ${type.description}";
      check = isAttrs;
      element = type;
      merge =
        place: values:
        builtins.mapAttrs (name: mergeOption (place ++ [ name ]) { inherit type; }) (
          # A name may be there under a condition that does not hold.
          lib.filterAttrs (_: given: concatMap (discharge 0) given != [ ]) (byName values)
        );
    };
    submodule = module: {
      description = "submodule";
      check = isAttrs;
      merge =
        place: values:
        (evalModules {
          modules = [ module ] ++ map (value: { config = value; }) values;
          prefix = place;
        }).config;
    };
    anything = {
      description = "anything";
      check = _: true;
      merge = mergeAnything;
    };
  };
in
{
  inherit
    evalModules
    mkIf
    mkMerge
    mkOption
    mkOverride
    types
    ;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkEnableOption =
    name:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${name}.";
    };
}
