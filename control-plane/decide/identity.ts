// Who a certificate is for, read from its subjectAltName. Meridian's names are URIs, so that no certificate for a host can pass
// for one:
//
//   meridian://edge/NAME       the edge NAME; it may speak for itself alone
//   meridian://ROLE/NAME       whoever administers under NAME, with the role read, purge, operate or administer
//
// One such URI in a certificate, or it is nobody's: what could be read in two ways is not read at all.
import { CLIENT_NAME, type RoleName } from '../../proto/roles.ts';
import { isRole } from './roles.ts';

export type Identity =
  | { readonly kind: 'edge'; readonly name: string }
  | { readonly kind: 'client'; readonly name: string; readonly role: RoleName }
  | { readonly kind: 'none'; readonly reason: string };

const SCHEME = 'meridian://';
const URI = /^meridian:\/\/([a-z]+)\/(.+)$/;

/** `subjectAltName`: as Node.js writes it, "DNS:a, URI:b"; a value with special characters is a JSON string. */
export function readIdentity(subjectAltName: string | undefined): Identity {
  const uris = splitNames(subjectAltName ?? '').flatMap((entry) =>
    entry.startsWith('URI:') && entry.includes(SCHEME) ? [entry.slice('URI:'.length)] : [],
  );
  const [uri] = uris;
  if (uri === undefined) {
    return { kind: 'none', reason: 'it names no edge and no role (no URI meridian://... in its subjectAltName)' };
  }
  if (uris.length > 1) return { kind: 'none', reason: 'it bears more than one meridian:// name' };
  const [, what = '', name = ''] = URI.exec(uri) ?? [];
  const isNamed = CLIENT_NAME.test(name);
  if (isNamed && what === 'edge') return { kind: 'edge', name };
  if (isNamed && isRole(what)) return { kind: 'client', name, role: what };
  const expected = 'expected meridian://edge/NAME or meridian://ROLE/NAME';
  return { kind: 'none', reason: `its name "${uri.slice(0, 100)}" is not one of Meridian: ${expected}` };
}

/** At the commas outside of quotes. */
function splitNames(text: string): string[] {
  const entries: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '\\' && quoted) i += 1;
    else if (text[i] === '"') quoted = !quoted;
    else if (text[i] === ',' && !quoted) {
      entries.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  entries.push(text.slice(start).trim());
  return entries;
}
