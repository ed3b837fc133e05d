/** A program that says when it runs and why it stops, and takes its time to stop. */

import { stopSignal } from "../../src/service_manager/stop_signal.ts";

const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
const work = setInterval(() => {}, 1000);
const stopping = stopSignal();
say("running");
say(await stopping);
if (!Deno.args.includes("--hang")) {
  clearInterval(work);
  setTimeout(() => Deno.exit(0), 10);
}
