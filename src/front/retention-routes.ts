/** How files are kept: policy of containers, locks and holds, recycle bins. The catalog decides. */
import { isoTime } from '../base/clock.js';
import type { ContainerInfo } from '../catalog/types.js';
import type { FrontContext } from './context.js';
import { fileJson, withoutUndefined } from './file-json.js';
import { type Route, route } from './route.js';
import * as schema from './schema.js';

export function retentionRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'PATCH',
      pattern: '/api/v1/containers/{container}',
      summary: 'Changes recycle bin, lock of new files, quota; for what is put or deleted from now on.',
      params: schema.containerParams,
      body: schema.containerChange,
      answers: { 200: { description: 'The container', content: schema.containerDetails } },
      handle: async ({ params, body }) => ({
        status: 200,
        json: containerJson(await catalog.updateContainer(params.container, withoutUndefined(body))),
      }),
    }),
    route({
      method: 'PATCH',
      pattern: '/api/v1/containers/{container}/files/{path}',
      summary: 'Locks a file, extends its lock, sets or clears its legal hold.',
      params: schema.fileParams,
      body: schema.lockRequest,
      answers: { 200: { description: 'The file', content: schema.fileInfo } },
      handle: async ({ params: { container, path }, body }) => {
        const { until, ...rest } = withoutUndefined(body);
        const untilMs = until === undefined ? {} : { untilMs: Date.parse(until) };
        return {
          status: 200,
          json: fileJson(await catalog.lockFile(container, path, { ...rest, ...untilMs })),
        };
      },
    }),
  ];
}

export function binRoutes({ catalog }: FrontContext): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/containers/{container}/bin',
      summary: 'Lists the recycle bin by version, page by page.',
      params: schema.containerParams,
      query: schema.binQuery,
      answers: { 200: { description: 'A page', content: schema.binPage } },
      handle: async ({ params, query }) => {
        const { files, next } = await catalog.listBin(params.container, withoutUndefined(query));
        return { status: 200, json: withoutUndefined({ files: files.map(fileJson), next }) };
      },
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/containers/{container}/bin/restore',
      summary: 'Gives a version back its name; what is there goes to the bin.',
      params: schema.containerParams,
      body: schema.binRestore,
      answers: { 200: { description: 'The file', content: schema.fileInfo } },
      handle: async ({ params, body: { path, version } }) => ({
        status: 200,
        json: fileJson(await catalog.restoreFromBin(params.container, path, version)),
      }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/containers/{container}/bin/purge',
      summary: 'Drops what may go by the retention clock; nothing goes earlier.',
      params: schema.containerParams,
      answers: { 200: { description: 'How many versions', content: schema.binPurged } },
      handle: async ({ params }) => ({
        status: 200,
        json: { dropped: await catalog.purgeBin(params.container) },
      }),
    }),
  ];
}

export function containerJson({ createdMs, ...rest }: ContainerInfo): object {
  return { ...rest, created: isoTime(createdMs) };
}
