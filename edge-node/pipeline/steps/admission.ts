// admit, route: whether the request is taken, and which site and route it belongs to.
import { admit as decideAdmission } from '../../decide/admit.ts';
import { findRoute, findSite } from '../../decide/compile.ts';
import { failure } from '../../decide/errors.ts';
import { loopToken } from '../../decide/forward.ts';
import { required } from '../exchange.ts';
import type { StepFunction } from '../run.ts';

export const admit: StepFunction<'admit'> = (x, { ports, memo }) => {
  const serving = ports.serving();
  if (!serving) {
    x.failure = failure('no-configuration', 'no snapshot was ever applied here');
    return 'refuse';
  }
  x.serving = serving;
  const known = memo.find(x.request, serving);
  if (known !== undefined) {
    x.admitted = known.admitted;
    x.site = known.site;
    x.route = known.route;
    x.requestClass = known.requestClass;
    x.target = known.target;
    x.key = known.key;
    return 'route';
  }
  const admission = decideAdmission(x.request, loopToken(ports.edge));
  if (admission.kind === 'refused') {
    x.failure = admission.failure;
    return 'refuse';
  }
  x.admitted = admission;
  return 'route';
};

export const route: StepFunction<'route'> = (x) => {
  if (x.route !== undefined) return 'lookUp';
  const { snapshot } = required(x.serving, 'snapshot');
  const { host, path } = required(x.admitted, 'admission');
  x.site = findSite(snapshot, host);
  if (!x.site) {
    x.failure = failure('unknown-host', `no site has hostname ${host}`);
    return 'refuse';
  }
  x.route = findRoute(x.site, path);
  if (!x.route) {
    x.failure = failure('no-route', `no route of site ${x.site.name} covers ${path}`);
    return 'refuse';
  }
  return 'lookUp';
};
