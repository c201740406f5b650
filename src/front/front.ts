/**
 * The front end: makes handlers for any HttpServer out of the catalog and the flows. It owns no listener;
 * main opens those, stops them, and may give several the same handlers.
 */
import type { Catalog } from '../catalog/types.js';
import { Upload } from '../ingest/upload.js';
import { Download } from '../restore/download.js';
import {
  containerRoutes,
  groupChangeRoutes,
  groupKeyRoutes,
  groupRoutes,
  reportRoutes,
  userRoutes,
} from './admin-routes.js';
import { Authority } from './auth.js';
import { checkRoutes } from './check-routes.js';
import { cleanerRoutes } from './cleaner-routes.js';
import type { FrontContext, Streams } from './context.js';
import { fileRoutes } from './file-routes.js';
import type { HttpHandlers } from './http.js';
import { FrontMetrics } from './metrics.js';
import { NamedUploads, uploadRoutes } from './named-uploads.js';
import { openApiDocument } from './openapi.js';
import { binRoutes, retentionRoutes } from './retention-routes.js';
import { type Route, route } from './route.js';
import { Router } from './router.js';
import { health, systemInfo } from './schema.js';

export interface Front extends HttpHandlers {
  readonly routes: readonly Route[];
  /** From now on /api/v1/system says so. */
  announceStop(): void;
}

const STREAMS: Streams = {
  upload: (group, options) => Upload.begin(group, options),
  download: (group, file, range) => Download.begin(group, file, range),
};

export function createFront(context: FrontContext): Front {
  const { catalog, scrub, cleaner } = context;
  const metrics = new FrontMetrics(catalog satisfies Catalog, { cleaner, scrub });
  const streams = context.streams ?? STREAMS;
  const uploads = new NamedUploads();
  const state = { isStopping: false, startMs: context.clock.monotonicMs() };
  const routes: Route[] = [
    ...fileRoutes(context, { streams, traffic: metrics, uploads }),
    ...uploadRoutes(uploads),
    ...groupRoutes(context),
    ...groupChangeRoutes(context),
    ...groupKeyRoutes(context),
    ...containerRoutes(context),
    ...retentionRoutes(context),
    ...binRoutes(context),
    ...userRoutes(context),
    ...cleanerRoutes(context),
    ...reportRoutes(context),
    ...checkRoutes(context),
    ...serviceRoutes(context, metrics, state),
  ];
  routes.push(openApiRoute(routes, context.system.version));
  const router = new Router({
    routes,
    authority: new Authority(context.tokens, context.clock),
    clock: context.clock,
    log: context.log,
    observe: (id, status, seconds) => metrics.observe(id, status, seconds),
  });
  return {
    routes,
    onRequest: (request, response) => router.handle(request, response),
    announceStop: () => {
      state.isStopping = true;
    },
  };
}

function serviceRoutes(
  { clock, system }: FrontContext,
  metrics: FrontMetrics,
  state: { readonly isStopping: boolean; readonly startMs: number },
): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/healthz',
      summary: 'Is the process alive?',
      answers: { 200: { description: 'It is', content: health } },
      handle: async () => ({ status: 200, json: { status: 'ok' } }),
    }),
    route({
      method: 'GET',
      pattern: '/metrics',
      summary: 'Prometheus text. From loopback without a token.',
      answers: { 200: { description: 'Metrics', content: 'text/plain' } },
      handle: async () => {
        const { type, text } = await metrics.text();
        return { status: 200, headers: { 'content-type': type }, text };
      },
    }),
    route({
      method: 'GET',
      pattern: '/api/v1/system',
      summary: 'Version, data directory, process.',
      answers: { 200: { description: 'Facts', content: systemInfo } },
      handle: async () => {
        const uptimeSeconds = Math.round((clock.monotonicMs() - state.startMs) / 100) / 10;
        return { status: 200, json: { ...system, uptimeSeconds, isStopping: state.isStopping } };
      },
    }),
  ];
}

/** Made at the first asking: nobody else pays for it. */
function openApiRoute(routes: readonly Route[], version: string): Route {
  let document: object | undefined;
  return route({
    method: 'GET',
    pattern: '/api/v1/openapi.json',
    summary: 'This document.',
    answers: { 200: { description: 'OpenAPI 3.1', content: 'application/json' } },
    handle: async () => {
      document ??= openApiDocument(routes, version);
      return { status: 200, json: document };
    },
  });
}
