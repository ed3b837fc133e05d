# A path → one word of a unit's list of paths, that path and nothing else: systemd.syntax(7) on quotes,
# systemd.unit(5) on "%", systemd.exec(5) on ":" in BindPaths=.
path:
if builtins.match "[^[:cntrl:]]*" path == null then
  throw "units: ${builtins.toJSON path}: a path with control characters cannot be part of a unit"
else if builtins.match "[a-zA-Z0-9/._@+-]*" path != null then
  path
else
  "\"${builtins.replaceStrings [ "\\" "\"" "%" ] [ "\\\\" "\\\"" "%%" ] path}\""
