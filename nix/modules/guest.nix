# A virtual machine.
{
  imports = [
    ./vclient.nix
    ./notify.nix
  ];
}
