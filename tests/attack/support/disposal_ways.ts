/** How clamd-vclient takes an infected file away, and what it may meet in its place. */

export interface Way {
  /** Where the quarantine is, if there is one. */
  readonly quarantine?: "disk" | "memory";
  readonly links?: number;
  /** Somebody puts an innocent file in its place at the last moment. */
  readonly isSwapped?: boolean;
}

export const WAYS: Readonly<Record<string, Way>> = {
  "it is deleted": {},
  "it is moved into quarantine": { quarantine: "disk" },
  "it is copied to a quarantine elsewhere": { quarantine: "memory" },
  "it is copied, since it has another name": { quarantine: "disk", links: 2 },
  "another one is met instead, to be deleted": { isSwapped: true },
  "another one is met instead, to be moved": { quarantine: "disk", isSwapped: true },
  "another one is met instead, to be copied": { quarantine: "memory", isSwapped: true },
};
