// The process of the simulated edges. Arguments: how many, and the ports that they dial in turn. Says
// {connected} when all have what they are sent first; answers each message with {received}, the bytes of all.
import { EdgeStatistics } from '../../proto/gen/meridian/v1/edge.ts';
import { SimulatedEdge } from './edge.ts';
import { edgeName } from './names.ts';

/** As often as an edge does. */
const HEARTBEAT_MS = 5_000;
const TICK_MS = 50;
/** Dialled at the same time, so that none waits so long that it is taken for silent. */
const DIALLING = 100;
/** From the end of a stream to the next dial, of another control plane. */
const REDIAL_MS = 500;

const [count = 0, ...ports] = process.argv.slice(2).map(Number);
const edges: SimulatedEdge[] = [];
const statistics = EdgeStatistics.fromPartial({ requests: 1_000, hits: 900, misses: 100, uptimeS: 60 });
const until = async (met: () => boolean): Promise<void> => {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
};

function dial(at: number, port: number, former?: SimulatedEdge): void {
  edges[at] = new SimulatedEdge(ports[port % ports.length] ?? 0, edgeName(at), former, (reason) => {
    process.send?.({ ended: `${edgeName(at)}: ${reason}` });
    setTimeout(() => dial(at, port + 1, edges[at]), REDIAL_MS);
  });
}

for (let at = 0; at < count; at += 1) {
  await until(() => edges.slice(-DIALLING).filter(({ purges }) => purges === 0).length < DIALLING);
  dial(at, at);
}
await until(() => edges.every(({ purges, applied }) => purges > 0 && applied));

let next = 0;
setInterval(() => {
  for (let i = 0; i < Math.ceil((count * TICK_MS) / HEARTBEAT_MS); i += 1) {
    edges[next]?.send({ $case: 'heartbeat', value: { statistics } });
    next = (next + 1) % count;
  }
}, TICK_MS);
process.on('disconnect', () => process.exit());
process.on('message', () => {
  process.send?.({ received: edges.reduce((total, { received }) => total + received, 0) });
});
process.send?.({ connected: count });
