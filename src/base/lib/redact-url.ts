/** A URL, or a text with some, as it may be shown: users and passwords in it are crossed out. */
export function redactUrl(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]{0,20}:\/\/)[^/@\s]*@/gi, "$1xxxxx:xxxxx@");
}
