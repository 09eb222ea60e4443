// Which answer goes before which on a connection, as the client says (RFC 9218 sections 4 and 5): by the field Priority of its
// request, and later by PRIORITY_UPDATE. Where nobody says anything, answers take turns.
import { parseDictionary } from '../structured-fields.ts';

export interface Priority {
  /** 0 ..= 7; what is lower goes first. */
  readonly urgency: number;
  /** It is of use in parts, so it takes turns with others of its urgency; else it is sent to its end. */
  readonly incremental: boolean;
}

const DEFAULT_URGENCY = 3;
const MAX_URGENCY = 7;
/** Characters; there is no reason for more. */
const MAX_TEXT = 256;

/** RFC 9218 would have these sent one after another; a client that does not know it may have many users on one connection. */
export const UNSAID: Priority = Object.freeze({ urgency: DEFAULT_URGENCY, incremental: true });
const DEFAULT: Priority = Object.freeze({ urgency: DEFAULT_URGENCY, incremental: false });

/** `text`: the value of the field, if there is one. What is of no use in it counts as not said (section 4). */
export function readPriority(text: string | undefined): Priority {
  if (text === undefined) return UNSAID;
  const members = text.length > MAX_TEXT ? undefined : parseDictionary(text);
  if (members === undefined) return DEFAULT;
  const [u, i] = [members.get('u'), members.get('i')];
  let { urgency, incremental } = DEFAULT;
  if (u?.kind === 'item' && u.value.kind === 'integer' && u.value.value >= 0 && u.value.value <= MAX_URGENCY) {
    urgency = u.value.value;
  }
  if (i?.kind === 'item' && i.value.kind === 'boolean') incremental = i.value.value;
  return { urgency, incremental };
}
