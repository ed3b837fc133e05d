/**
 * The NixOS modules, evaluated: by NixOS itself where nixpkgs is found (NIX_PATH), and always by the small
 * module system in nixos/.
 */

// @ts-types="../support/assert.d.ts"
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { permissionFlags, permissionSetOf } from "../../nix/programs.ts";
import { NOTIFY } from "../../src/notify/options.ts";
import { VCLIENT } from "../../src/vclient/options.ts";
import { VPROXY } from "../../src/vproxy/options.ts";
import { run } from "../support/command.ts";
import { REPOSITORY } from "../support/gate.ts";
import { missingProgram } from "../support/prerequisites.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { evaluated, nixpkgs, type System } from "./nixos/evaluated.ts";

/** The same test by the small module system, and by NixOS where it is there. */
function testModules(
  name: string,
  body: (evaluate: (module: string) => Promise<System>) => Promise<void>,
) {
  const without = missingProgram("nix-instantiate");
  Deno.test({
    name: `${name}${without === undefined ? "" : ` [${without}]`}`,
    ignore: without !== undefined,
    fn: () => body((module) => evaluated(module)),
  });
  if (nixpkgs === undefined) return;
  Deno.test(`${name} [by NixOS]`, () => body((module) => evaluated(module, nixpkgs)));
}

Deno.test({
  name: "the same by NixOS itself [needs nixpkgs in NIX_PATH]",
  ignore: nixpkgs === undefined,
  fn: async () => assertEquals((await evaluated("{ }", nixpkgs)).failures, []),
});

/** What Nix says to a configuration that it refuses. */
async function refusal(evaluation: Promise<System>): Promise<string> {
  try {
    return (await evaluation).failures.join("\n");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const DOCS = `{
  basePath = "/var/lib/virtiofs/docs";
  producers = [ "chromium-vm" "office-vm" ];
  consumers = [ "reader-vm" ];
}`;

const gate = (more: string, channels = `docs = ${DOCS};`) =>
  `{ services.virtiofs-gate = { enable = true; channels = { ${channels} }; ${more} }; }`;

testModules("a host with one channel: everything around the service is there", async (evaluate) => {
  const system = await evaluate(gate(""));
  assertEquals(system.failures, []);
  const service = system.services["virtiofs-gate"]?.serviceConfig;
  assertEquals(service?.ReadWritePaths, ["/var/lib/virtiofs/docs"]);
  assertEquals(service?.RestrictAddressFamilies, ["AF_UNIX"], "no guest is told by vsock");
  assertEquals(service?.User, undefined);
  assertStringIncludes(
    String(system.services["virtiofs-gate"]?.unitConfig.After),
    "clamav-daemon.service",
  );
  assertEquals(system.mounts, [{
    what: "/var/lib/virtiofs/docs/export",
    where: "/var/lib/virtiofs/docs/export-ro",
    options: "bind,ro,nosuid,nodev,noexec",
  }]);
  const directories = system.tmpfiles["10-virtiofs-gate"] ?? {};
  const of = (path: string) => Object.values(directories[path]?.d ?? {}).sort().join(" ");
  assertEquals(of("/var/lib/virtiofs/docs/share/chromium-vm"), "0755 1000 1000");
  assertEquals(of("/var/lib/virtiofs/docs/share"), "0755 root root");
  assertEquals(of("/var/lib/virtiofs/docs/staging"), "0700 root root");
  assertEquals(of("/var/lib/virtiofs/docs/quarantine"), "0700 root root");
});

testModules("a changed channel is reloaded; one that changes the sandbox takes a restart", async (
  evaluate,
) => {
  const service = async (more: string, channels?: string) => {
    const { "virtiofs-gate": unit } = (await evaluate(gate(more, channels))).services;
    assert(unit !== undefined);
    return { unit: [unit.unitConfig, unit.serviceConfig], triggers: unit.reloadTriggers, ...unit };
  };
  const before = await service("");
  assertEquals(before.serviceConfig.Type, "notify-reload");
  assertStringIncludes(
    String(before.serviceConfig.ExecStart),
    "--config=/etc/virtiofs/channels.json",
  );
  assertEquals(before.triggers.length, 1);
  const scanning = await service(`channels.docs.scanning.infectedAction = "quarantine";`);
  assertEquals(scanning.unit, before.unit, "NixOS sees nothing but another file");
  assert(scanning.triggers[0] !== before.triggers[0]);
  const another = DOCS.replace("/docs", "/mail");
  const added = await service("", `docs = ${DOCS}; mail = ${another};`);
  assertEquals(added.serviceConfig.ReadWritePaths, [
    "/var/lib/virtiofs/docs",
    "/var/lib/virtiofs/mail",
  ]);
});

testModules("clamd's limits fit what is to be scanned", async (evaluate) => {
  const GIB = 2 ** 30;
  const alone = await evaluate(gate(""));
  assertEquals(alone.clamav.enable, true);
  assertEquals(alone.clamav.settings.AlertExceedsMax, true);
  assertEquals(alone.clamav.settings.MaxFileSize, GIB);
  assertEquals(alone.clamav.settings.MaxScanSize, GIB);
  const system = await evaluate(
    `{ imports = [ (${gate("maxFileSize = 100;")}) ]; services.clamd-vproxy.enable = true; }`,
  );
  assertEquals(system.failures, []);
  assertEquals(system.clamav.settings.StreamMaxLength, 2 ** 31 - 3, "clamd takes no more");
  const trusted = await evaluate(gate("channels.docs.scanning.enable = false;"));
  assertEquals(trusted.clamav.enable, false);
});

testModules("guests are told by the names of the channel's machines", async (evaluate) => {
  const system = await evaluate(gate(`
    guests.office-vm.cid = 11;
    guests.chromium-vm.socket = "/run/vm/chromium.sock";
    guests.reader-vm.cid = 12;
    guests.other-vm.cid = 13;
  `));
  assertEquals(system.failures, []);
  const { docs } = JSON.parse(system.channels ?? "{}");
  assertEquals(docs.notify.guests, ["/run/vm/chromium.sock", 11], "not the consumer");
  const service = system.services["virtiofs-gate"]?.serviceConfig;
  assertEquals(service?.RestrictAddressFamilies, ["AF_UNIX", "AF_VSOCK"]);
  assert(system.kernelModules.includes("vhost_vsock"));
});

testModules(
  "both vocabularies do the same: guests, and where the user is told",
  async (evaluate) => {
    const system = await evaluate(gate(`
    channels.docs.guestNotify = { guests = [ 10 "office-vm" ]; port = 3500; };
    channels.docs.scanning.notifySocket = "/run/clamav/other.sock";
    guests.office-vm.cid = 11;
    guests.chromium-vm.cid = 12;
  `));
    assertEquals(system.failures, []);
    const { docs } = JSON.parse(system.channels ?? "{}");
    assertEquals(docs.notify, { guests: [10, 11] });
    assertEquals(docs.guestNotify, { port: 3500 });
    assertEquals(docs.scanning, { notifySocket: "/run/clamav/other.sock" });
    const service = system.services["virtiofs-gate"]?.serviceConfig;
    assertEquals(service?.RestrictAddressFamilies, ["AF_UNIX", "AF_VSOCK"]);
    assert(system.kernelModules.includes("vhost_vsock"));
  },
);

testModules("what has no option of its own reaches the program, too", async (evaluate) => {
  const system = await evaluate(gate('channels.docs.mode = "trusted";'));
  assertEquals(JSON.parse(system.channels ?? "{}").docs.mode, "trusted");
});

testModules("without root: a user of its own, and four capabilities", async (evaluate) => {
  const system = await evaluate(gate("unprivileged = true;"));
  const service = system.services["virtiofs-gate"]?.serviceConfig;
  assertEquals(service?.User, "virtiofs-gate");
  assertEquals(service?.AmbientCapabilities, "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_LEASE");
});

testModules("a guest: both services, with what they may see", async (evaluate) => {
  const system = await evaluate(`{
    services.clamd-vclient = {
      enable = true;
      watch = [ "/home/user/Downloads" ];
      action = "quarantine";
      quarantineDir = "/var/quarantine";
    };
    services.virtiofs-notify = {
      enable = true;
      user = "user";
      channels.docs = { path = "/home/user/docs"; tag = "docs"; };
    };
  }`);
  assertEquals(system.failures, []);
  const [vclient, notify] = ["clamd-vclient", "virtiofs-notify"].map((name) =>
    system.services[name]?.serviceConfig
  );
  assertEquals(vclient?.BindPaths, ["/home/user/Downloads", "/var/quarantine"]);
  assertStringIncludes(String(vclient?.ExecStart), '"--quarantine-dir=/var/quarantine"');
  assertEquals(notify?.User, "user");
  assertStringIncludes(String(notify?.ExecStart), '"--map=docs=/home/user/docs"');
  assertEquals(system.fileSystems["/home/user/docs"]?.fsType, "virtiofs");
});

testModules("a hybrid-vsock socket that two modules name is served once", async (evaluate) => {
  const socket = "/var/lib/microvms/office-vm/vsock.sock";
  const module = `{ services.clamd-vproxy.uds = [ "${socket}" ]; }`;
  const system = await evaluate(`{
    imports = [ (${module}) (${module}) ];
    services.clamd-vproxy = { enable = true; user = "microvm"; };
  }`);
  const command = String(system.services["clamd-vproxy"]?.serviceConfig.ExecStart);
  assertEquals(command.split(`--uds=${socket}`).length, 2, command);
});

testModules("virtiofs-notify without a user is a service of each user", async (evaluate) => {
  const system = await evaluate(`{
    services.virtiofs-notify = { enable = true; channels.docs.path = "/home/user/docs"; };
  }`);
  assertEquals(Object.keys(system.services), []);
  assert("virtiofs-notify" in system.userServices);
});

/** The options of the programs, and what their services need besides. */
const SERVICES = {
  "clamd-vproxy": [VPROXY.options, ""],
  "clamd-vclient": [VCLIENT.options, 'watch = [ "/srv" ];'],
  "virtiofs-notify": [NOTIFY.options, 'channels.docs.path = "/srv";'],
} as const;

for (const [service, [options, more]] of Object.entries(SERVICES)) {
  testModules(`${service}: every number that NixOS lets through, the program takes`, async (
    evaluate,
  ) => {
    const set = (name: string, value: number) => {
      const option = name === "allowCid" ? `allowCids = [ (${value}) ]` : `${name} = ${value}`;
      return refusal(evaluate(`{ services.${service} = { enable = true; ${more} ${option}; }; }`));
    };
    for (const [name, option] of Object.entries(options)) {
      if (option.kind !== "number" && option.kind !== "bytes") continue;
      for (const value of [option.min, option.max]) assertEquals(await set(name, value), "", name);
      for (const value of [option.min - 1, option.max + 1]) {
        assertStringIncludes(await set(name, value), "is not of type", `${name} = ${value}`);
      }
    }
  });
}

testModules("a guest's user is told on a socket of the user's own", async (evaluate) => {
  const system = await evaluate(`{ services.clamd-vclient = {
    enable = true;
    user = "user";
    watch = [ "/home/user/Downloads" ];
    notifySocket = "/run/user/1000/clamav-notify.sock";
  }; }`);
  assertEquals(system.failures, []);
  const { serviceConfig, unitConfig } = system.services["clamd-vclient"] ?? {};
  assertEquals(serviceConfig?.BindReadOnlyPaths, ["-/run/user/1000"]);
  assertEquals(unitConfig?.Wants, ["user-runtime-dir@1000.service"]);
});

for (const heading of ["The host", "A guest"]) {
  testModules(`docs/nixos.md: the example of "${heading}" works`, async (evaluate) => {
    const text = await Deno.readTextFile(`${REPOSITORY}docs/nixos.md`);
    const example = new RegExp(`^## ${heading}$.*?^\`\`\`nix\\n(.*?)^\`\`\`$`, "ms").exec(text)
      ?.[1];
    assert(example !== undefined);
    const { failures, services } = await evaluate(example);
    assertEquals(failures, []);
    assertEquals(Object.keys(services).length, 2);
  });
}

/** Mistakes, and the words that say so. */
const MISTAKES: Readonly<Record<string, readonly [module: string, ...words: readonly string[]]>> = {
  "a wrong type": [
    gate('channels.docs.debounceMs = "soon";'),
    "services.virtiofs-gate.channels.docs.debounceMs",
    "is not of type",
  ],
  "an unknown action": [
    gate('channels.docs.scanning.infectedAction = "burn";'),
    "services.virtiofs-gate.channels.docs.scanning.infectedAction",
    "quarantine",
  ],
  "no producer": [
    gate("channels.docs.producers = [ ];").replace(/producers = \[ "c.*/, ""),
    "services.virtiofs-gate.channels.docs.producers",
    "non-empty",
  ],
  "two guests with one CID": [
    gate("guests.office-vm.cid = 11; guests.reader-vm.cid = 11;"),
    "two virtual machines have the CID `11`",
  ],
  "a CID listed twice": [
    gate("channels.docs.notify.guests = [ 11 11 ];"),
    "channels.docs.notify.guests: `11` is listed twice",
  ],
  "the host as a guest": [
    gate("guests.office-vm.cid = 2;"),
    "services.virtiofs-gate.guests.office-vm.cid",
    "is not of type",
  ],
  "a guest that is neither producer nor consumer": [
    gate('guests.mail-vm.cid = 11; channels.docs.notify.guests = [ "mail-vm" ];'),
    "`mail-vm` is neither a producer nor a consumer",
  ],
  "a guest without an address": [
    gate('channels.docs.notify.guests = [ "office-vm" ];'),
    "`office-vm` has no address",
  ],
  "a guest with two addresses": [
    gate('guests.office-vm = { cid = 11; socket = "/run/vm.sock"; };'),
    "guests.office-vm: set either `cid` or `socket`",
  ],
  "overlapping directories: a quarantine inside a share": [
    gate(
      "",
      `docs = ${DOCS};
       mail = { basePath = "/var/lib/virtiofs/docs/share/office-vm"; producers = [ "a" ]; };`,
    ),
    "channels.docs.basePath and channels.mail.basePath overlap",
  ],
  "the same directory twice": [
    gate(
      "",
      `docs = ${DOCS}; mail = { basePath = "/var/lib/virtiofs/docs/"; producers = [ "a" ]; };`,
    ),
    "overlap",
  ],
  "a directory that the service cannot see": [
    gate("", `docs = { basePath = "/home/ann/docs"; producers = [ "a" ]; };`),
    "channels.docs.basePath: the service cannot see `/home`",
  ],
  "a user's socket that the service cannot see": [
    gate('channels.docs.userNotify.socket = "/run/user/1000/notify.sock";'),
    "channels.docs.userNotify.socket",
  ],
  "the same socket in the other vocabulary": [
    gate('channels.docs.scanning.notifySocket = "/run/user/1000/notify.sock";'),
    "channels.docs.scanning.notifySocket: the service cannot see `/run/user`",
  ],
  "a stranger in the other vocabulary": [
    gate('guests.mail-vm.cid = 11; channels.docs.guestNotify.guests = [ "mail-vm" ];'),
    "`mail-vm` is neither a producer nor a consumer",
  ],
  "a producer with a name that tmpfiles.d(5) would not understand": [
    gate("", `docs = { basePath = "/var/lib/virtiofs/docs"; producers = [ "ann's-vm" ]; };`),
    "services.virtiofs-gate.channels.docs.producers",
    "is not of type",
  ],
  "no channel": [gate("", ""), "channels is empty"],
  "a clamd that skips what is to be scanned": [
    `{ imports = [ (${gate("")}) ]; services.clamav.daemon.settings.MaxFileSize = "25M"; }`,
    "services.clamav.daemon.settings.MaxFileSize is 25M",
    "raise it",
  ],
  "a clamd that is silent about what it skips": [
    `{ imports = [ (${gate("")}) ]; services.clamav.daemon.settings.AlertExceedsMax = false; }`,
    "AlertExceedsMax must be true",
  ],
  "a quarantine inside a watched directory": [
    `{ services.clamd-vclient = {
      enable = true; watch = [ "/home/user" ];
      action = "quarantine"; quarantineDir = "/home/user/quarantine";
    }; }`,
    "quarantineDir lies in /home/user, which is watched",
  ],
  "a directory that is watched and excluded": [
    `{ services.clamd-vclient = {
      enable = true; watch = [ "/home/user" ]; exclude = [ "/home/user/" ];
    }; }`,
    "/home/user is in watch, and in exclude too",
  ],
  "a quarantine without a directory": [
    `{ services.clamd-vclient = { enable = true; watch = [ "/x" ]; action = "quarantine"; }; }`,
    "quarantineDir goes with action",
  ],
  "a scanner in a /tmp that is not the service's": [
    `{ services.clamd-vclient = { enable = true; watch = [ "/x" ]; notifySocket = "/tmp/n"; }; }`,
    "a /tmp of its own",
  ],
  "a socket with a name that is too long": [
    `{ services.clamd-vproxy = { enable = true; clamdSocket = "/run/${"x".repeat(103)}"; }; }`,
    "services.clamd-vproxy.clamdSocket",
    "at most 107 bytes",
  ],
  "a hybrid-vsock socket with a name that is too long with its port": [
    `{ services.clamd-vclient = {
      enable = true; watch = [ "/x" ]; uds = "/run/${"x".repeat(95)}";
    }; }`,
    "services.clamd-vclient.uds",
    "at most 96 bytes before the port",
  ],
  "a guest's socket with a name that is too long": [
    gate(`guests.office-vm.socket = "/run/${"x".repeat(103)}";`),
    "services.virtiofs-gate.guests.office-vm.socket",
    "at most 107 bytes",
  ],
  "a channel's directory without quotes, of which the store would get a copy": [
    gate("", `docs = { basePath = /var/lib/virtiofs/docs; producers = [ "a" ]; };`),
    "services.virtiofs-gate.channels.docs.basePath",
    "in quotes",
  ],
  "a watched directory without quotes": [
    `{ services.clamd-vclient = { enable = true; watch = [ /home/user ]; }; }`,
    "services.clamd-vclient.watch",
    "in quotes",
  ],
  "a share's directory without quotes": [
    `{ services.virtiofs-notify = { enable = true; channels.docs.path = /home/user/docs; }; }`,
    "services.virtiofs-notify.channels.docs.path",
    "in quotes",
  ],
  "a proxy for sockets that it cannot see": [
    `{ services.clamd-vproxy = { enable = true; user = "vm"; uds = [ "/home/vm/vsock.sock" ]; }; }`,
    "services.clamd-vproxy: clamdSocket or uds lies in /home",
  ],
  "a channel with a name that ends before it does": [
    `{ services.virtiofs-notify = { enable = true; channels."a=b".path = "/home/user/docs"; }; }`,
    'services.virtiofs-notify.channels: "a=b" cannot be the name of a channel',
  ],
  "nobody who may notify": [
    `{ services.virtiofs-notify = {
      enable = true; allowCids = [ ]; channels.a.path = "/home/user/docs";
    }; }`,
    "services.virtiofs-notify.allowCids",
    "non-empty",
  ],
  "a guest's socket that the gate cannot see": [
    gate('guests.office-vm.socket = "/home/vm/vsock.sock";'),
    "guests.office-vm.socket: the service cannot see `/home`",
  ],
  "a directory with a name that tmpfiles.d(5) would change": [
    gate("", `docs = { basePath = "/var/lib/virtiofs/100%h"; producers = [ "a" ]; };`),
    "services.virtiofs-gate.channels.docs.basePath",
    "without %",
  ],
  "a directory with a backslash": [
    gate("", String.raw`docs = { basePath = "/srv/a\\b"; producers = [ "a" ]; };`),
    "services.virtiofs-gate.channels.docs.basePath",
  ],
  "a proxy for sockets of another user": [
    `{ services.clamd-vproxy = { enable = true; uds = [ "/var/lib/vm/vsock.sock" ]; }; }`,
    "services.clamd-vproxy.user: set it to the user of the virtual machines",
  ],
};

for (const [mistake, [module, ...words]] of Object.entries(MISTAKES)) {
  testModules(`refused, in words: ${mistake}`, async (evaluate) => {
    const said = await refusal(evaluate(module));
    for (const word of words) assertStringIncludes(said, word);
  });
}

testModules("the configuration file passes the program's own verification", async (evaluate) => {
  const { channels } = await evaluate(gate(`
    channels.docs.scanning = { infectedAction = "quarantine"; maxFileSize = 1000000; };
    channels.docs.userNotify.enable = false;
    guests.office-vm.cid = 11;
  `));
  const file = `${scratchDirectory("verify")}/channels.json`;
  await Deno.writeTextFile(file, channels ?? "");
  const { code, stdout } = await run(
    Deno.execPath(),
    [
      ...["run", "--quiet", ...permissionFlags(permissionSetOf("gate")), "src/gate/main.ts"],
      ...["verify", "--offline", "--config", file],
    ],
    { cwd: REPOSITORY },
  );
  const said = new TextDecoder().decode(stdout);
  assertEquals(code, 0, said);
  assertStringIncludes(said, "1 channel, 0 faults, 0 warnings");
});
