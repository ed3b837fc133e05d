// deno-lint-ignore-file no-console -- what it prints is read by the benchmark
/** Watches the tree that is its argument, as the gate does; prints how many directories and the seconds. */

import { fromText } from "../ffi/byte_string.ts";
import { Directory } from "../ffi/directory.ts";
import { Reactor } from "../ffi/reactor.ts";
import { InotifyWatcher } from "../src/watching/inotify_watcher.ts";

const [tree = "."] = Deno.args;
const reactor = new Reactor();
const watcher = new InotifyWatcher(reactor, {
  changed: () => {},
  reread: () => {},
  moved: () => {},
  rootLost: () => {},
  rootFound: (root) => root.close(),
}, {
  debounceMs: 1000,
  openRoot: () => Directory.openTrusted(fromText(tree)),
  onTrouble: (message) => console.error(message),
});
const begin = performance.now();
await watcher.start();
console.log(watcher.watched, (performance.now() - begin) / 1000);
watcher.close();
await reactor.stop();
