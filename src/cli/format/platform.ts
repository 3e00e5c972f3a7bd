/** "linux/arm64/v8" as the JSON that the API's platform parameters take. */
export function platformJson(text: string): string {
  const [os = "", architecture = "", variant] = text.split("/");
  return JSON.stringify({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}
