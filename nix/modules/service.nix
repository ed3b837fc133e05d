# A unit of nix/units/ as a value for `systemd.services.<name>`.
unit: {
  description = unit.Unit.Description;
  unitConfig = removeAttrs unit.Unit [ "Description" ];
  serviceConfig = unit.Service;
  wantedBy = [ unit.Install.WantedBy ];
}
