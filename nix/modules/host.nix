# The machine on which the virtual machines run.
{
  imports = [
    ./clamav.nix
    ./gate.nix
    ./vproxy.nix
  ];
}
