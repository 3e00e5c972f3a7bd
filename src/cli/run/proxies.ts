import type { ConfigData } from "../config/config-shape.ts";

const names = [
  ["httpProxy", "HTTP_PROXY"],
  ["httpsProxy", "HTTPS_PROXY"],
  ["ftpProxy", "FTP_PROXY"],
  ["noProxy", "NO_PROXY"],
  ["allProxy", "ALL_PROXY"],
] as const;

/** The proxy variables that config.json's `proxies` gives every container, in upper and lower case. */
export function proxyVariables(config: ConfigData, host: string): string[] {
  const settings = config.proxies?.[host] ?? config.proxies?.["default"];
  if (!settings) return [];
  return names.flatMap(([key, name]) => {
    const value = settings[key];
    return value ? [`${name}=${value}`, `${name.toLowerCase()}=${value}`] : [];
  });
}
