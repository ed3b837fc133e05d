/**
 * `deno task demo [--keep]`: the gate at work on a throw-away filesystem with a real scanner, step by step. Every
 * step is checked; the exit code is 1 if something that is shown did not happen.
 */

import { Channel } from "./support/channel.ts";
import { Clamd } from "./support/clamd.ts";
import { clean, EICAR } from "./support/eicar.ts";
import { Gate } from "./support/gate.ts";
import { LoopFilesystem } from "./support/loop_filesystem.ts";
import { installMissing } from "./support/packages.ts";
import { filesystemPrograms, obstacle } from "./support/prerequisites.ts";
import { abandonedScratch, scratchPathsOf, sweep } from "./support/scratch.ts";
import { bold, dim, good, indent, say, warn } from "./support/terminal.ts";
import { readTree } from "./support/tree.ts";
import { UserSocket } from "./support/user_socket.ts";
import { sleep, waitFor } from "./support/wait.ts";

const PATIENCE_MS = 20_000;

/** What the demonstration works on. */
interface Stage {
  readonly channel: Channel;
  readonly clamd: Clamd;
  readonly gate: Gate;
  readonly user: UserSocket;
}

interface Expectation {
  readonly what: string;
  readonly holds: () => Promise<boolean> | boolean;
}

interface Scene {
  readonly title: string;
  /** What a VM does, in words. */
  readonly deed: string;
  readonly act: () => Promise<unknown>;
  readonly expect: readonly Expectation[];
}

const ORDER = "Order no. 17: 200 sheets of paper\n";
const CHANGED = "Order no. 17: 500 sheets of paper\n";

/** The places that a file of the channel reaches. */
function places({ channel }: Stage): string[] {
  return channel.peers.map(({ name }) => name);
}

function scenes(stage: Stage): Scene[] {
  const { channel, user } = stage;
  const others = (author: string) => places(stage).filter((name) => name !== author);
  const sameTree = async (directory: string) => (await channel.differences(directory)).length === 0;
  return [
    {
      title: "A clean file reaches everybody",
      deed: "chromium-vm saves office/order.txt, as user 1000 with mode 640",
      act: () =>
        channel.share("chromium-vm").write("office/order.txt", ORDER, {
          mode: 0o640,
          uid: 1000,
          gid: 1000,
        }),
      expect: [
        ...others("chromium-vm").map((name) => ({
          what: `${name} has it, byte for byte`,
          holds: async () => await channel.share(name).readText("office/order.txt") === ORDER,
        })),
        { what: "with the same owner, mode and time everywhere", holds: () => sameTree("office") },
      ],
    },
    {
      title: "Malware is stopped",
      deed: "chromium-vm downloads game.exe, which is infected (the EICAR test string)",
      act: () => channel.share("chromium-vm").write("game.exe", EICAR),
      expect: [
        {
          what: "it is gone from chromium-vm's share",
          holds: () => !channel.share("chromium-vm").has("game.exe"),
        },
        {
          what: "it lies in quarantine, mode 000, owned by root",
          holds: async () =>
            [...(await readTree(channel.quarantine)).values()].some(
              ({ mode, owner, size }) =>
                mode === "0" && owner === "0:0" && size === String(EICAR.length),
            ),
        },
        {
          what: "nobody else ever got a byte of it",
          holds: async () => (await channel.infectedElsewhere()).length === 0,
        },
        {
          what: "the user was told",
          holds: () => user.lines.some((line) => line.endsWith("/share/chromium-vm/game.exe")),
        },
      ],
    },
    {
      title: "A document that becomes infected is not lost",
      deed: "mail-vm overwrites office/order.txt with malware",
      act: () => channel.share("mail-vm").write("office/order.txt", EICAR),
      expect: [
        {
          what: "the last clean version is back in mail-vm's share",
          holds: async () => await channel.share("mail-vm").readText("office/order.txt") === ORDER,
        },
        {
          what: "and the others never lost theirs",
          holds: async () =>
            await sameTree("office") && (await channel.infectedElsewhere()).length === 0,
        },
      ],
    },
    {
      title: "An editor's save",
      deed: "office-vm edits office/order.txt: writes a temporary file and renames it over",
      act: () =>
        channel.share("office-vm").shell(
          `cd office; printf %s '${CHANGED}' > .order.txt.tmp; mv .order.txt.tmp order.txt`,
        ),
      expect: [
        ...others("office-vm").map((name) => ({
          what: `${name} has the new version`,
          holds: async () => await channel.share(name).readText("office/order.txt") === CHANGED,
        })),
        {
          what: "and no temporary file stayed anywhere",
          holds: () =>
            places(stage).every((name) => channel.share(name).list("office").length === 1),
        },
      ],
    },
    {
      title: "A whole directory at once",
      deed: "mail-vm unpacks 300 files into photos/",
      act: async () => {
        for (let i = 0; i < 300; i++) {
          await channel.share("mail-vm").write(`photos/${i % 10}/${i}.jpg`, clean(i, 4096));
        }
      },
      expect: [{
        what: "all 300 are everywhere, byte for byte",
        holds: async () =>
          (await readTree(channel.export.at("photos"))).size === 310 && await sameTree("photos"),
      }],
    },
    {
      title: "A deletion travels",
      deed: "office-vm deletes photos/ and office/order.txt, which others had made",
      act: () => channel.share("office-vm").shell("rm -r photos office/order.txt"),
      expect: places(stage).map((name) => ({
        what: `gone from ${name}`,
        holds: () =>
          !channel.share(name).has("photos") && !channel.share(name).has("office/order.txt"),
      })),
    },
  ];
}

/** Plays one scene; fails if something that it promises does not happen. */
async function play(scene: Scene, number: number, stage: Stage): Promise<void> {
  say(`\n${bold(`${number}. ${scene.title}`)}`);
  say(`   ${scene.deed}`);
  stage.gate.mark();
  const toldBefore = stage.user.lines.length;
  await scene.act();
  const started = performance.now();
  for (const { what, holds } of scene.expect) {
    try {
      await waitFor(what, holds, PATIENCE_MS);
    } catch (error) {
      say(`   ${warn("✗")} ${what}: did not happen`);
      say(dim(indent(`the gate's log:\n${stage.gate.recentLog}`, "     ")));
      throw error;
    }
    const elapsedMs = Math.round(performance.now() - started);
    say(`   ${good("✓")} ${what} ${dim(`(${elapsedMs} ms)`)}`);
  }
  for (const line of stage.user.lines.slice(toldBefore)) say(`   ${warn("user")} ${line}`);
  const log = stage.gate.recentLog.trim();
  if (log !== "") say(dim(indent(log, "   log  ")));
}

async function prepare(): Promise<Stage & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const filesystem = stack.use(await LoopFilesystem.create("btrfs"));
  say(`   a btrfs in an image file         ${filesystem.path}`);
  const clamd = stack.use(await Clamd.start());
  say(`   a clamd that knows one signature ${clamd.socket}`);
  const user = stack.use(UserSocket.listen());
  const channel = await Channel.create("documents", `${filesystem.path}/documents`, {
    producers: ["chromium-vm", "office-vm", "mail-vm"],
    consumers: ["reader-vm"],
    scanning: { infectedAction: "quarantine", notifySocket: user.path },
    more: { debounceMs: 200 },
  });
  const gate = stack.use(
    await Gate.start({
      configuration: { [channel.name]: channel.configuration },
      clamdSocket: clamd.socket,
    }),
  );
  say(`   the gate, ready                  process ${gate.child.pid}`);
  say("\n   Three VMs share the channel “documents”; reader-vm may read its export:");
  for (const share of channel.peers) say(`     ${share.name.padEnd(12)} ${share.path}`);
  const owned = stack.move();
  return { channel, clamd, gate, user, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What Ctrl-C does: end at once and leave nothing, unless somebody plays. */
const interrupt: { react: () => void } = {
  react() {
    sweep(scratchPathsOf(Deno.pid));
    Deno.exit(130);
  },
};

/** Shows what happens while somebody plays, until a signal comes. */
async function stayOpen(stage: Stage): Promise<void> {
  const { channel, gate, user } = stage;
  let stopped = false;
  interrupt.react = () => {
    stopped = true;
  };
  say(`\n${bold("It goes on running, to play with.")}`);
  say(`   Try, from another terminal:`);
  say(`     echo hello > ${channel.share("office-vm").path}/hello.txt`);
  say(`     cat ${channel.share("mail-vm").path}/hello.txt`);
  say(`   Quarantine: ${channel.quarantine}`);
  say(`   To stop it and remove everything: Ctrl-C here, or: kill ${Deno.pid}\n`);
  let shown = gate.log.length;
  let told = user.lines.length;
  while (!stopped && gate.status === undefined) {
    await sleep(100);
    if (gate.log.length > shown) say(dim(indent(gate.log.slice(shown).trimEnd(), "   log  ")));
    for (const line of user.lines.slice(told)) say(`   ${warn("user")} ${line}`);
    shown = gate.log.length;
    told = user.lines.length;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.filter((arg) => arg !== "--keep");
  if (unknown.length > 0) {
    say(`unknown: ${unknown.join(" ")}. Usage: deno task demo [--keep]`);
    return 2;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupt.react());
  }
  say(bold("virtiofs-gate: a demonstration\n"));
  sweep(abandonedScratch());
  const failure = await installMissing((line) => say(`   ${line}`), filesystemPrograms("btrfs"));
  const reason = failure ?? obstacle("btrfs");
  if (reason !== undefined) {
    say(`\nThe demonstration cannot run here: ${reason}`);
    return 1;
  }
  try {
    await using stage = await prepare();
    for (const [index, scene] of scenes(stage).entries()) await play(scene, index + 1, stage);
    if (args.includes("--keep")) await stayOpen(stage);
    const { code } = await stage.gate.term();
    if (code !== 0) throw new Error(`the gate ended with ${code}`);
  } catch (error) {
    say(`\n${warn("Failed:")} ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    sweep(scratchPathsOf(Deno.pid));
  }
  say(`\n${good("All of it happened as shown.")} Everything was removed again.`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
