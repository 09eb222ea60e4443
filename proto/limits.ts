// Bounds on what a configuration or a purge may hold. Checked by whoever writes, and again by whoever applies.

export const LIMITS = {
  sites: 1_000,
  hostnamesPerSite: 100,
  /** Over all sites. */
  routes: 20_000,
  pools: 1_000,
  originsPerPool: 100,
  edges: 5_000,
  trustedProxiesPerEdge: 100,
  /** Characters. */
  nameLength: 63,
  hostnameLength: 253,
  pathLength: 8_000,
  weight: 1_000,
  purgeTargets: 1_000,
  idempotencyKeyLength: 128,
  /** Purges kept in the log; an edge that missed more drops all it holds. */
  purgeLog: 10_000,
  /** Former configurations that can be put back. */
  history: 128,
  /** Edges that try a configuration first. */
  canaryEdges: 100,
  canaryHoldMs: { min: 1_000, max: 86_400_000 },
  /** Segments of a prefix that is purged. */
  prefixSegments: 32,
  /** Characters of a tag. */
  tagLength: 256,
  /** Records of who changed what; older ones go. */
  auditLog: 5_000,
  /** Records in one answer. */
  auditRecords: 1_000,
  tokens: 1_000,
  /** gRPC messages, bytes, either way. */
  messageBytes: 16 * 1024 * 1024,
  intervalMs: { min: 100, max: 3_600_000 },
  timeoutMs: { min: 10, max: 600_000 },
  threshold: { min: 1, max: 100 },
  /** Freshness and stale windows. */
  ttlMs: { min: 0, max: 30 * 24 * 3_600_000 },
  /** Of a slice of a large answer, bytes; 0 says that there are none. */
  sliceBytes: { min: 65_536, max: 16_777_216 },
  /** Names of one kind in a cache key or a bypass rule, and characters of one. */
  cacheNames: 20,
  cacheNameLength: 128,
  /** Problems reported at once. */
  problems: 50,
} as const;
