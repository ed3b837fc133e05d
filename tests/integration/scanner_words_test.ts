/** What a scanner says ends in front of people: escaped, and escaped once (I9). */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertStringIncludes } from "@std/assert";
import { FakeClamd } from "../support/fake_clamd.ts";
import { testOnEachFilesystem } from "../support/fixture.ts";
import { waitFor } from "../support/wait.ts";
import { World } from "../support/world.ts";

const SAID = "Evil\x1b[2J";
const SHOWN = "Evil\\x1b[2J";

/** Answers PING, and to every scan with `result`. */
function clamdThatSays(result: string): FakeClamd {
  return FakeClamd.start(({ name, id }) => {
    if (name === "PING") return "PONG\0";
    return name === "FILDES" ? `${id}: fd[9]: ${result}\0` : "UNKNOWN COMMAND\0";
  });
}

testOnEachFilesystem(
  "I9: a signature is shown alike in the log, to the user and in the record",
  async (kind) => {
    await using clamd = clamdThatSays(`${SAID} FOUND`);
    await using world = await World.prepare(kind, {
      channels: { docs: { scanning: { infectedAction: "quarantine" } } },
    });
    await world.startGate({ clamdSocket: clamd.socket });
    const channel = world.only;
    await channel.share("ann").write("file", "x");
    const place = channel.share("ann").at("file");
    await waitFor(
      () => `the user is told: ${world.user.lines}`,
      () => world.user.lines.includes(`Malware ${SHOWN} was detected in file: ${place}`),
    );
    assertStringIncludes(await world.gate.logged(/malware/), `malware ${SHOWN} in ${place}`);
    const record = await waitFor(
      "there is a record",
      () => [...Deno.readDirSync(channel.quarantine)].find(({ name }) => name.endsWith(".json")),
    );
    const text = await Deno.readTextFile(`${channel.quarantine}/${record.name}`);
    assertEquals(JSON.parse(text).signature, SHOWN);
  },
);

testOnEachFilesystem("I9: so is the reason why a file could not be scanned", async (kind) => {
  await using clamd = clamdThatSays(`${SAID} ERROR`);
  await using world = await World.prepare(kind, { channels: { docs: {} } });
  await world.startGate({ clamdSocket: clamd.socket });
  await world.only.share("ann").write("file", "x");
  const place = world.only.share("ann").at("file");
  await waitFor(
    () => `the user is told: ${world.user.lines}`,
    () => world.user.lines.includes(`Scan error for file ${place}: clamd says: ${SHOWN}`),
  );
  assertStringIncludes(
    await world.gate.logged(/could not be scanned and is held/),
    `clamd says: ${SHOWN}`,
  );
});
