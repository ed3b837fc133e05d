/** Many shares take many inotify instances: whoever runs the host learns of it before other programs get none (I7). */

// @ts-types="../support/assert.d.ts"
import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseConfiguration } from "../../src/gate/config/configuration.ts";
import { formatFault } from "../../src/gate/config/fault.ts";
import { instanceWarnings } from "../../src/gate/inotify_instances.ts";

function warningsOf(channels: number, limit: number): string[] {
  const written = Object.fromEntries(
    Array.from({ length: channels }, (_, i) => [
      `c${i}`,
      { basePath: `/srv/c${i}`, producers: ["ann", "bob"] },
    ]),
  );
  const read = parseConfiguration(JSON.stringify(written), { unknownKeys: "fault" });
  assertEquals(read.channels.length, channels);
  return instanceWarnings(read.channels, limit).map(formatFault);
}

Deno.test("I7: verify warns where the shares leave few inotify instances to others", () => {
  assertEquals(warningsOf(40, 128), []);
  const [told = "", ...more] = warningsOf(60, 128);
  assertEquals(more, []);
  assertStringIncludes(told, "warning: the 120 shares take as many inotify instances, of the 128");
  assertStringIncludes(told, "raise the sysctl fs.inotify.max_user_instances to 512");
  assertEquals(warningsOf(60, 512), [], "as it says");
});
