// The configuration of the local stack, from its layout: the file that a newcomer reads first and changes next. Pure.
import { stringify } from 'yaml';
import { HOST, type Layout, type Place } from './layout.ts';

const HEADER = `# The local stack's configuration. "meridian up" writes this file and applies it when it starts a new stack, or one whose
# layout changed. To change what runs, copy it, and apply the copy with "meridian apply -f FILE".
`;

/** YAML, as `meridian apply` reads it. */
export function localConfiguration(layout: Layout): string {
  const configuration = {
    sites: {
      demo: {
        hostnames: ['demo.localhost', 'localhost', HOST],
        routes: [{ path: '/', pool: 'cities' }],
      },
    },
    pools: {
      cities: {
        healthCheck: {
          path: '/healthz',
          interval: '1s',
          timeout: '1s',
          unhealthyThreshold: 3,
          healthyThreshold: 2,
        },
        origins: Object.fromEntries(
          layout.origins.map((origin) => [
            origin.name,
            { address: `http://${HOST}:${origin.port}`, location: location(origin) },
          ]),
        ),
      },
    },
    edges: Object.fromEntries(
      layout.edges.map((edge) => [
        edge.name,
        // Whoever asks from this machine may say where the client is, which is what the demonstration lives on.
        { location: location(edge), trustedProxies: ['127.0.0.0/8', '::1/128'] },
      ]),
    ),
  };
  return HEADER + stringify(configuration, { lineWidth: 0 });
}

function location({ latitude, longitude }: Place): object {
  return { latitude, longitude };
}
