// What names and values of fields may be in HTTP/2 (RFC 9113 section 8.2.1, RFC 9110 section 5). Text stands for octets (latin1).
import { NAME_START, NAME_STEP, nameAt } from '../http1/field-names.ts';
import { TOKEN_LOWER } from '../http1/octets.ts';
import { isFieldValue as isText } from '../http1/response-head.ts';

const HTAB = 0x09;
const SP = 0x20;

/** The name, common ones as strings that all requests share; "" where it cannot be one: no token, or not in lower case. */
export function fieldName(received: string): string {
  let node = NAME_START;
  for (let i = 0; i < received.length; i += 1) {
    const octet = received.charCodeAt(i);
    // The table has 0 for what is no part of a token, NUL among it.
    if (octet === 0 || TOKEN_LOWER[octet] !== octet) return '';
    node = NAME_STEP[node * 128 + octet] ?? 0;
  }
  return nameAt(node) || received;
}

/** As in HTTP/1.1, and without blanks at its ends (RFC 9113 section 8.2.1). */
export function isFieldValue(value: string): boolean {
  return isText(value) && !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
}

function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
