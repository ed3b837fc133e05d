# A host with two virtual machines inside it: files travel over virtiofs, scans and notifications over vsock.
#
# The host is the node of the test; the virtual machines run in its QEMU (nested, with KVM where there is any). They
# take orders through a directory of their own, in which the host puts scripts.
{ self }:
{ lib, pkgs, ... }:
let
  guests = {
    office-vm = 11;
    mail-vm = 12;
  };
  channel = "documents";
  basePath = "/var/lib/virtiofs/${channel}";

  # Put together here, so that no scanner takes this file for malware.
  eicar = lib.concatStrings [
    ''X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD''
    "-ANTIVIRUS-TEST-FILE!$H+H*"
  ];
  hexOf = pkgs.runCommand "eicar.hex" { } ''
    printf %s ${lib.escapeShellArg eicar} | od -An -v -tx1 | tr -d ' \n' > $out
  '';

  guestSystem =
    name:
    (self.inputs.nixpkgs.lib.nixosSystem {
      inherit (pkgs.stdenv.hostPlatform) system;
      modules = [
        self.nixosModules.guest
        {
          system.stateVersion = "25.11";
          networking.hostName = name;
          networking.useDHCP = false;
          boot.loader.grub.enable = false;
          boot.initrd.kernelModules = [
            "9p"
            "9pnet_virtio"
            "virtio_pci"
            "virtiofs"
          ];
          boot.kernelModules = [ "vmw_vsock_virtio_transport" ];
          fileSystems = {
            "/" = {
              device = "tmpfs";
              fsType = "tmpfs";
              options = [ "mode=755" ];
            };
            "/nix/store" = {
              device = "store";
              fsType = "9p";
              neededForBoot = true;
              options = [
                "trans=virtio"
                "version=9p2000.L"
                "ro"
              ];
            };
            "/orders" = {
              device = "orders";
              fsType = "9p";
              options = [
                "trans=virtio"
                "version=9p2000.L"
              ];
            };
          };

          users.users.user = {
            isNormalUser = true;
            uid = 1000;
          };
          systemd.tmpfiles.rules = [ "d /home/user/Downloads 0755 user users" ];

          services.virtiofs-notify = {
            enable = true;
            user = "user";
            channels.${channel} = {
              path = "/home/user/${channel}";
              tag = channel;
            };
          };
          services.clamd-vclient = {
            enable = true;
            watch = [ "/home/user/Downloads" ];
          };

          systemd.services.orders = {
            wantedBy = [ "multi-user.target" ];
            unitConfig.RequiresMountsFor = [
              "/orders"
              "/home/user/${channel}"
            ];
            script = ''
              while sleep 0.2; do
                for order in /orders/*.sh; do
                  [ -e "$order" ] || continue
                  mv "$order" "$order.begun"
                  if bash "$order.begun" > "$order.output" 2>&1; then
                    mv "$order.output" "$order.done"
                  else
                    mv "$order.output" "$order.failed"
                  fi
                done
              done
            '';
          };
        }
      ];
    }).config.system.build;

  # One virtual machine: virtiofsd for its share, QEMU for the rest.
  guestServices =
    name: cid:
    let
      build = guestSystem name;
      socket = "/run/${name}.virtiofs";
    in
    {
      "virtiofsd-${name}" = {
        after = [ "virtiofs-gate.service" ];
        requires = [ "virtiofs-gate.service" ];
        serviceConfig.ExecStart = "${pkgs.virtiofsd}/bin/virtiofsd --socket-path=${socket} --shared-dir=${basePath}/share/${name}";
      };
      ${name} = {
        after = [ "virtiofsd-${name}.service" ];
        requires = [ "virtiofsd-${name}.service" ];
        wantedBy = [ "multi-user.target" ];
        preStart = "mkdir -p /orders/${name}";
        script = ''
          exec ${pkgs.qemu}/bin/qemu-system-${pkgs.stdenv.hostPlatform.qemuArch} \
            -machine ${
              if pkgs.stdenv.hostPlatform.isAarch64 then "virt" else "q35"
            },accel=kvm:tcg,memory-backend=mem \
            -cpu max -m 768 -object memory-backend-memfd,id=mem,size=768M,share=on \
            -nodefaults -nographic -no-reboot -serial file:/orders/${name}.log \
            -kernel ${build.kernel}/${pkgs.stdenv.hostPlatform.linux-kernel.target} \
            -initrd ${build.initialRamdisk}/initrd \
            -append "console=${
              if pkgs.stdenv.hostPlatform.isAarch64 then "ttyAMA0" else "ttyS0"
            } init=${build.toplevel}/init" \
            -virtfs local,path=/nix/store,mount_tag=store,security_model=none,readonly=on \
            -virtfs local,path=/orders/${name},mount_tag=orders,security_model=none \
            -chardev socket,id=fs,path=${socket} -device vhost-user-fs-pci,chardev=fs,tag=${channel} \
            -device vhost-vsock-pci,guest-cid=${toString cid}
        '';
      };
    };
in
{
  name = "virtiofs-gate";

  nodes.host = {
    imports = [ self.nixosModules.host ];

    virtualisation = {
      memorySize = 4096;
      cores = 2;
      emptyDiskImages = [ 2048 ];
      fileSystems."/var/lib/virtiofs" = {
        device = "/dev/vdb";
        fsType = "btrfs";
        autoFormat = true;
        options = [
          "nosuid"
          "nodev"
          "noexec"
        ];
      };
    };

    services.virtiofs-gate = {
      enable = true;
      unprivileged = true;
      channels.${channel} = {
        inherit basePath;
        producers = lib.attrNames guests;
        consumers = [ "reader-vm" ];
        scanning.infectedAction = "quarantine";
      };
      guests = lib.mapAttrs (_: cid: { inherit cid; }) guests;
    };
    services.clamd-vproxy.enable = true;

    # No database can be downloaded in a test: one signature, the EICAR string at the start of a file.
    services.clamav.updater.enable = false;
    systemd.services = lib.mkMerge [
      (lib.concatMapAttrs guestServices guests)
      {
        clamav-daemon.preStart = ''
          printf 'Test.Eicar:0:0:%s\n' "$(cat ${hexOf})" > /var/lib/clamav/test.ndb
        '';
      }
    ];
  };

  testScript = ''
    import shlex

    EICAR = ${builtins.toJSON eicar}
    SHARE = "${basePath}/share"
    count = 0


    def in_guest(name: str, script: str) -> str:
        """Runs a script in a virtual machine; its output."""
        global count
        count += 1
        order = f"/orders/{name}/{count}.sh"
        host.succeed(f"printf %s {shlex.quote(script)} > {order}.new && mv {order}.new {order}")
        host.wait_until_succeeds(f"test -e {order}.done -o -e {order}.failed", timeout=600)
        return host.succeed(f"cat {order}.done")


    host.start()
    host.wait_for_unit("virtiofs-gate.service")
    host.wait_for_unit("clamd-vproxy.service")

    with subtest("both machines have their shares and services"):
        for name in ["office-vm", "mail-vm"]:
            in_guest(name, "findmnt --types virtiofs /home/user/${channel}")
            in_guest(name, "systemctl is-active virtiofs-notify.service")
            in_guest(name, "until systemctl is-active clamd-vclient.service; do sleep 1; done")

    with subtest("a clean file arrives, with its owner"):
        in_guest("office-vm", "su user -c 'echo hello > ~/${channel}/letter.txt'")
        host.wait_until_succeeds(f"grep hello {SHARE}/mail-vm/letter.txt")
        assert in_guest("mail-vm", "stat --format=%u /home/user/${channel}/letter.txt") == "1000\n"
        host.succeed("grep hello ${basePath}/export-ro/letter.txt")

    with subtest("the other machine was told over vsock"):
        in_guest("mail-vm", "until [ -e /home/user/${channel}/.virtiofs-refresh ]; do sleep 1; done")

    with subtest("malware is put into quarantine, and nobody gets it"):
        in_guest("office-vm", f"printf %s {shlex.quote(EICAR)} > /home/user/${channel}/game.exe")
        host.wait_until_succeeds("ls ${basePath}/quarantine | grep game.exe")
        host.fail(f"test -e {SHARE}/mail-vm/game.exe")
        host.fail("test -e ${basePath}/export/game.exe")

    with subtest("a deletion travels"):
        in_guest("mail-vm", "rm /home/user/${channel}/letter.txt")
        host.wait_until_fails(f"test -e {SHARE}/office-vm/letter.txt")

    with subtest("a download is scanned over vsock, with the host's clamd"):
        in_guest(
            "office-vm",
            f"printf %s {shlex.quote(EICAR)} > /home/user/Downloads/game.exe;"
            " while [ -e /home/user/Downloads/game.exe ]; do sleep 1; done",
        )

    with subtest("a reload keeps the process and the channels"):
        main_pid = "systemctl show --value --property=MainPID virtiofs-gate.service"
        before = host.succeed(main_pid)
        host.succeed("systemctl reload virtiofs-gate.service")
        assert host.succeed(main_pid) == before
        in_guest("office-vm", "su user -c 'echo again > ~/${channel}/second.txt'")
        host.wait_until_succeeds(f"grep again {SHARE}/mail-vm/second.txt")

    with subtest("what is read-only stays so"):
        host.fail("touch ${basePath}/export-ro/x")
  '';
}
