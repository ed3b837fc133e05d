/** The units of the NixOS modules under a real systemd: awkward paths, and sockets in places that are hidden. */

// @ts-types="../support/assert.d.ts"
import { assertEquals } from "@std/assert";
import { EICAR } from "../support/eicar.ts";
import { type Machine, testOnMachine, USER } from "../support/machine.ts";
import { missingProgram } from "../support/prerequisites.ts";
import { Guest, instream } from "../support/stream_peer.ts";
import { UserSocket } from "../support/user_socket.ts";
import { waitFor } from "../support/wait.ts";
import { evaluated } from "./nixos/evaluated.ts";

const VCLIENT = "clamd-vclient.service";
const VPROXY = "clamd-vproxy.service";
const NOTIFY = "virtiofs-notify.service";
const GATE = "virtiofs-gate.service";

/** Whatever systemd could take for something else. */
const AWKWARD = 'My 100%h: "new" $HOME';

/** A section as NixOS writes it. */
function section(title: string, options: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(options).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => `${name}=${one}\n`)
  );
  return `[${title}]\n${lines.join("")}`;
}

/** Puts the unit that `configuration` makes in the place of the one for other systems. */
async function install(machine: Machine, unit: string, configuration: string): Promise<void> {
  const { failures, services } = await evaluated(configuration);
  assertEquals(failures, []);
  const service = services[unit.replace(".service", "")];
  if (service === undefined) throw new Error(`no ${unit}`);
  await Deno.writeTextFile(
    machine.outside(`/etc/systemd/system/${unit}`),
    section("Unit", service.unitConfig) + section("Service", service.serviceConfig),
  );
  await machine.shell("systemctl daemon-reload");
}

function testUnit(name: string, unit: string, body: (machine: Machine) => Promise<void>): void {
  const reason = missingProgram("nix-instantiate");
  if (reason === undefined) testOnMachine(name, unit, {}, body);
  else Deno.test({ name: `${name} [${reason}]`, ignore: true, fn: () => {} });
}

const nix = (text: string) => JSON.stringify(text).replaceAll("$", "\\$");

/** The program as `installation` has it. */
const PACKAGE = `package = { outPath = "/usr/local"; };`;

for (const user of ["null", nix(USER)]) {
  testUnit(`clamd-vclient on NixOS: awkward paths, hidden sockets, user ${user}`, VCLIENT, async (
    machine,
  ) => {
    const inbox = `/home/${USER}/${AWKWARD}`;
    await install(
      machine,
      VCLIENT,
      `{ services.clamd-vclient = {
        ${PACKAGE}
        enable = true;
        user = ${user};
        watch = [ ${nix(inbox)} ];
        action = "quarantine";
        quarantineDir = "/srv/infected files";
        socket = true;
        clamdSocket = "/srv/scan ner/clamd.ctl";
        notifySocket = "/run/user/1000/clamav-notify.sock";
      }; }`,
    );
    await machine.shell(`
      install -d -o ${USER} '${inbox}' '/srv/infected files'
      install -d -o ${USER} -m 700 /run/user/1000
      mkdir '/srv/scan ner'
      mount --bind /run/clamav '/srv/scan ner'
    `);
    await machine.systemd.systemctl("start", VCLIENT);
    // Who logs in later listens later.
    await using listener = UserSocket.listen(
      machine.outside("/run/user/1000/clamav-notify.sock"),
    );
    await Deno.chmod(listener.path, 0o666);
    await Deno.writeFile(machine.outside(`/home/${USER}/game.exe`), EICAR);
    await machine.shell(`cd /home/${USER}; chown ${USER} game.exe; mv game.exe '${inbox}'`);
    await waitFor("the user is told", () => listener.lines.some((line) => /game/.test(line)));
    // What is told first takes a moment.
    await waitFor("it is gone", async () => await machine.shell(`ls -A '${inbox}'`) === "");
    assertEquals(await machine.shell("ls '/srv/infected files' | grep -c game"), "2");
  });
}

testUnit("clamd-vproxy on NixOS: an awkward path", VPROXY, async (machine) => {
  const folder = `/srv/${AWKWARD}`;
  await install(
    machine,
    VPROXY,
    `{ services.clamd-vproxy = {
      ${PACKAGE} enable = true; cid = null; user = "${USER}"; uds = [ ${nix(`${folder}/guest`)} ];
    }; }`,
  );
  await machine.shell(`install -d -o ${USER} '${folder}'`);
  await machine.systemd.systemctl("start", VPROXY);
  using guest = await Guest.connect(machine.outside(`${folder}/guest_3400`));
  await guest.send(instream(EICAR));
  assertEquals(await guest.answer(), "stream: Test.Eicar.UNOFFICIAL FOUND\0");
});

testUnit("virtiofs-notify on NixOS: awkward paths", NOTIFY, async (machine) => {
  const [docs, sockets] = [`/home/${USER}/${AWKWARD}`, `/srv/${AWKWARD}`];
  await install(
    machine,
    NOTIFY,
    `{ services.virtiofs-notify = {
      ${PACKAGE}
      enable = true;
      user = "${USER}";
      channels.docs.path = ${nix(docs)};
      uds = ${nix(`${sockets}/host`)};
    }; }`,
  );
  await machine.shell(`install -d -o ${USER} '${docs}' '${sockets}'`);
  await machine.systemd.systemctl("start", NOTIFY);
  using host = await Guest.connect(machine.outside(`${sockets}/host_3401`));
  await host.send("CONNECT 3401\ndocs\n");
  await host.endSending();
  await waitFor(
    "the folder is refreshed",
    async () => await machine.shell(`ls -A '${docs}'`) === ".virtiofs-refresh",
  );
});

testUnit("virtiofs-gate on NixOS: an awkward path", GATE, async (machine) => {
  const place = `/var/lib/virtiofs/My "docs" $HOME: 2`;
  const { docs } = JSON.parse(
    await Deno.readTextFile(machine.outside("/etc/virtiofs/channels.json")),
  );
  await install(
    machine,
    GATE,
    `{ services.virtiofs-gate = {
      ${PACKAGE} enable = true;
      channels.docs = { basePath = ${nix(place)}; producers = [ "ann" "bob" ]; };
    }; }`,
  );
  await Deno.writeTextFile(
    machine.outside("/etc/virtiofs/channels.json"),
    JSON.stringify({ docs: { ...docs, basePath: place } }),
  );
  await machine.shell(`
    # Before systemd 253.
    sed -i s/notify-reload/notify/ /etc/systemd/system/${GATE}
    systemctl daemon-reload
    mkdir '${place}'
    mount --bind /var/lib/virtiofs/docs '${place}'
  `);
  await machine.systemd.systemctl("start", GATE);
  await machine.channel.share("ann").write("letter", "Dear Bob");
  await waitFor("a file arrives", () => machine.channel.share("bob").has("letter"));
});
