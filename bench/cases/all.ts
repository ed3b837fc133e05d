import type { Case, GrowthCase } from "../case.ts";
import { channels, guests } from "../growth/places.ts";
import { directories } from "../growth/directories.ts";
import { files, filesInOneDirectory } from "../growth/files.ts";
import { arming } from "./arming.ts";
import { burst, burstManySignatures, burstUnscanned } from "./burst.ts";
import { largeFile } from "./large_file.ts";
import { smallBesideFlood, smallBesideLarge } from "./neighbours.ts";
import { idleCost, memoryGrowth } from "./resources.ts";
import { renamedDirectory } from "./renamed_directory.ts";
import { singleFile } from "./single_file.ts";
import { startup } from "./startup.ts";
import { tinyFiles } from "./tiny_files.ts";
import { vclient } from "./vclient.ts";
import { vproxy } from "./vproxy.ts";

/** The longest comes last. */
export const CASES: readonly (Case | GrowthCase)[] = [
  singleFile,
  burst,
  burstManySignatures,
  burstUnscanned,
  smallBesideLarge,
  smallBesideFlood,
  tinyFiles,
  startup,
  arming,
  largeFile,
  renamedDirectory,
  idleCost,
  vproxy,
  vclient,
  files,
  filesInOneDirectory,
  directories,
  channels,
  guests,
  memoryGrowth,
];
