/** What a guest can put in the place of something of its own between two system calls of the daemon. */

import { EICAR_TEXT, type GuestTree } from "./guest_tree.ts";

/** Where the attack takes place: a file, its directory `mid` and the directory above, `top`. */
export interface Scene {
  readonly guest: GuestTree;
  readonly top: string;
  /** The canary's tree, which has the same names below `top`. */
  readonly outside: string;
  /** What the guest does when the daemon has done its work (or has died in it). */
  readonly afterwards: (() => void)[];
}

export interface Swap {
  readonly name: string;
  /** Does it, and returns the clean contents that the guest has made by it. Throws where there is nothing to swap. */
  perform(scene: Scene): readonly string[];
}

const file = ({ top }: Scene) => `${top}/mid/file`;
const parent = ({ top }: Scene) => `${top}/mid`;

/** Takes `path` aside, so that its name is free. What it was stays the guest's, under a new name. */
function takeAside({ guest }: Scene, path: string): void {
  guest.rename(path, `${path}.was`);
}

export const SWAPS: readonly Swap[] = [
  {
    name: "the file becomes a link out of the share",
    perform(scene) {
      takeAside(scene, file(scene));
      scene.guest.link(file(scene), `${scene.outside}/top/mid/file`);
      return [];
    },
  },
  {
    name: "the file becomes a relative link out of the share",
    perform(scene) {
      takeAside(scene, file(scene));
      const up = "../".repeat(12);
      scene.guest.link(file(scene), `${up}${scene.outside}/top/mid/file`);
      return [];
    },
  },
  {
    name: "the file becomes a directory with something in it",
    perform(scene) {
      takeAside(scene, file(scene));
      scene.guest.write(`${file(scene)}/inside`, "made in place of the file", 500);
      return ["made in place of the file"];
    },
  },
  {
    name: "the file becomes another file, older than it",
    perform(scene) {
      takeAside(scene, file(scene));
      scene.guest.write(file(scene), "an older newcomer", 1);
      return ["an older newcomer"];
    },
  },
  {
    name: "the file becomes another file, newer than it",
    perform(scene) {
      takeAside(scene, file(scene));
      scene.guest.write(file(scene), "a newer newcomer", 9000);
      return ["a newer newcomer"];
    },
  },
  {
    name: "the file is replaced by a rename",
    perform(scene) {
      scene.guest.write(`${scene.top}/prepared`, "renamed over it", 9000);
      scene.guest.rename(`${scene.top}/prepared`, file(scene));
      return ["renamed over it"];
    },
  },
  {
    name: "the file is written to in place",
    perform(scene) {
      if (!scene.guest.has(file(scene))) throw new Deno.errors.NotFound();
      scene.guest.write(file(scene), "written in place", 9000);
      return ["written in place"];
    },
  },
  {
    name: "the file is held open, and written to when the daemon is done with it",
    perform({ guest, top, afterwards }) {
      const path = guest.at(`${top}/mid/file`);
      // What was written to malware goes with it.
      if (Deno.readTextFileSync(path).startsWith(EICAR_TEXT)) throw new Deno.errors.NotFound();
      const held = Deno.openSync(path, { write: true });
      afterwards.push(() => {
        held.truncateSync();
        held.writeSync(new TextEncoder().encode("through an old descriptor"));
        held.close();
      });
      return ["through an old descriptor"];
    },
  },
  {
    name: "the file becomes malware in place",
    perform(scene) {
      if (!scene.guest.has(file(scene))) throw new Deno.errors.NotFound();
      scene.guest.infect(file(scene));
      return [];
    },
  },
  {
    name: "the file becomes a hard link of another",
    perform(scene) {
      scene.guest.write(`${scene.top}/other`, "has two names", 9000);
      takeAside(scene, file(scene));
      scene.guest.hardLink(`${scene.top}/other`, file(scene));
      return ["has two names"];
    },
  },
  {
    name: "the file gets a second name",
    perform(scene) {
      scene.guest.hardLink(file(scene), `${scene.top}/second-name`);
      return [];
    },
  },
  {
    name: "the file is removed",
    perform(scene) {
      scene.guest.remove(file(scene));
      return [];
    },
  },
  {
    name: "its directory becomes a link out of the share",
    perform(scene) {
      takeAside(scene, parent(scene));
      scene.guest.link(parent(scene), `${scene.outside}/top/mid`);
      return [];
    },
  },
  {
    name: "its directory becomes another directory",
    perform(scene) {
      scene.guest.write(`${scene.top}/other/file`, "of another directory", 9000);
      takeAside(scene, parent(scene));
      scene.guest.rename(`${scene.top}/other`, parent(scene));
      return ["of another directory"];
    },
  },
  {
    name: "its directory becomes another, with a file that differs in nothing but its content",
    perform(scene) {
      const { guest, top } = scene;
      const original = Deno.readTextFileSync(guest.at(file(scene)));
      if (original.startsWith(EICAR_TEXT)) throw new Deno.errors.NotFound();
      const twin = [...original].reverse().join("");
      guest.write(`${top}/other/file`, twin);
      guest.copyTimes(file(scene), `${top}/other/file`);
      takeAside(scene, parent(scene));
      guest.rename(`${top}/other`, parent(scene));
      return [twin];
    },
  },
  {
    name: "its directory becomes a file",
    perform(scene) {
      takeAside(scene, parent(scene));
      scene.guest.write(parent(scene), "in place of the directory", 9000);
      return ["in place of the directory"];
    },
  },
  {
    name: "its directory moves to the top",
    perform(scene) {
      scene.guest.rename(parent(scene), `${scene.top}-moved`);
      return [];
    },
  },
  {
    name: "its directory is removed with all that is in it",
    perform(scene) {
      scene.guest.remove(parent(scene));
      return [];
    },
  },
  {
    name: "the directory above becomes a link out of the share",
    perform(scene) {
      takeAside(scene, scene.top);
      scene.guest.link(scene.top, `${scene.outside}/top`);
      return [];
    },
  },
  {
    name: "the directory above becomes a link to the share's own root",
    perform(scene) {
      takeAside(scene, scene.top);
      scene.guest.link(scene.top, ".");
      return [];
    },
  },
  {
    name: "the directory above becomes another tree",
    perform(scene) {
      const other = `${scene.top}-other`;
      scene.guest.write(`${other}/mid/file`, "of another tree", 9000);
      takeAside(scene, scene.top);
      scene.guest.rename(other, scene.top);
      return ["of another tree"];
    },
  },
];
