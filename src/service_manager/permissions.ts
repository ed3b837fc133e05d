/** Gives up what was only needed to start (I8). Symbols that are bound and files that are open go on working. */

const KINDS = ["run", "read", "write", "net", "env", "sys", "ffi", "import"] as const;

/** Revokes every Deno permission; nothing new can be opened through Deno from here on. */
export function revokeAllPermissions(): void {
  for (const name of KINDS) Deno.permissions.revokeSync({ name });
}
