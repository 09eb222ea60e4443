// What a gRPC client needs to dial "host:port" over TLS 1.3: both ends are ours, so that nothing older needs to be spoken.
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import type { TlsMaterial } from './tls-files.ts';

export interface Dial {
  readonly credentials: ChannelCredentials;
  /** To be merged into the channel's. */
  readonly options: ChannelOptions;
}

/** Without material the channel is plain text. */
export function grpcDial(address: string, material: TlsMaterial | undefined): Dial {
  if (!material) return { credentials: credentials.createInsecure(), options: {} };
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const { ca, pair } = material;
  const context = createSecureContext({ ca, ...pair, minVersion: 'TLSv1.3' });
  return {
    credentials: credentials.createFromSecureContext(context, {
      // Against the host that was dialled, whatever name the handshake asks for.
      checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    }),
    // An address must not be asked for by SNI (RFC 6066 section 3), but gRPC would; and there is one certificate anyway.
    options: isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'control-plane.invalid' },
  };
}
