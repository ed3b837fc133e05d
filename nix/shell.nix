# What `deno task test` and `deno task units` need.
{ pkgs }:
pkgs.mkShell {
  packages = with pkgs; [
    btrfs-progs
    clamav
    deno
    nix
    nixfmt
    qemu
    strace
    systemd
    virtiofsd
    xfsprogs
  ];
}
