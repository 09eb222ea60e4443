// Where to listen, read from "HOST:PORT".

export type ListenAddress =
  | { readonly kind: 'address'; readonly host: string; readonly port: number; readonly loopback: boolean }
  | { readonly kind: 'malformed'; readonly reason: string };

/** `127.0.0.1:7001`, `[::1]:7001`, `localhost:0`; port 0 lets the system choose. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const [, ipv6, name, digits] = match ?? [];
  const host = ipv6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65535) {
    return {
      kind: 'malformed',
      reason: `"${text.slice(0, 80)}" is not HOST:PORT, such as 127.0.0.1:7001 or [::1]:7001`,
    };
  }
  const loopback = host === '::1' || host === 'localhost' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
  return { kind: 'address', host, port, loopback };
}
