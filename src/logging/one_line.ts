/**
 * The safety net: whoever forgot `display`, no record forges a second line, an escape sequence or
 * reversed text. Text that went through `display` stays as it is.
 */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return point < 0x80
      ? `\\x${point.toString(16).padStart(2, "0")}`
      : `\\u{${point.toString(16)}}`;
  });
}
