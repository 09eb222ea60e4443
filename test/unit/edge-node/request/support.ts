// Requests to decide on.
import type { RequestHead } from '../../../../edge-node/decide/admit.ts';

/** A GET of `/` on demo.example over HTTP/1.1, changed as the test asks; `fields` come after Host. */
export function head(
  change: Partial<Omit<RequestHead, 'fields'>> & { readonly host?: readonly string[] } = {},
  fields: readonly string[] = [],
): RequestHead {
  const { host = ['demo.example'], ...rest } = change;
  return {
    method: 'GET',
    target: '/',
    fields: [...host.flatMap((value) => ['host', value]), ...fields],
    version: '1.1',
    scheme: 'http',
    sni: undefined,
    peer: '192.0.2.1',
    hasBody: false,
    ...rest,
  };
}
