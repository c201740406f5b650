/** The OpenAPI 3.1 document, made from the very schemas that check the requests. */
import {
  OpenAPIRegistry,
  OpenApiGeneratorV31,
  type ResponseConfig,
  type ZodRequestBody,
} from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { ACCESS } from './auth.js';
import { type Route, type RouteAnswer, routeId } from './route.js';
import { errorBody } from './schema.js';

const BYTES = { type: 'string', format: 'binary' } as const;

export function openApiDocument(routes: readonly Route[], version: string): object {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  for (const described of routes) registerRoute(registry, described);
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: { title: 'Granary', version, description: 'A deduplicating backup store.' },
  });
}

function registerRoute(registry: OpenAPIRegistry, described: Route): void {
  const needsToken = ACCESS[routeId(described)] !== 'anyone';
  const body = requestBody(described);
  registry.registerPath({
    method: described.method.toLowerCase() as 'get',
    path: described.pattern,
    summary: described.summary,
    ...(needsToken ? { security: [{ token: [] }] } : {}),
    request: {
      ...(described.params === undefined ? {} : { params: described.params as unknown as z.ZodObject }),
      ...(described.query === undefined ? {} : { query: described.query as unknown as z.ZodObject }),
      ...(described.headers === undefined ? {} : { headers: headerSchema(described.headers) }),
      ...(body === undefined ? {} : { body }),
    },
    responses: responses(described),
  });
}

function headerSchema(headers: Readonly<Record<string, string>>): z.ZodObject {
  const shape: Record<string, z.ZodType> = {};
  for (const [name, description] of Object.entries(headers))
    shape[name] = z.string().optional().meta({ description });
  return z.object(shape);
}

function requestBody(described: Route): ZodRequestBody | undefined {
  if (described.body === undefined) return undefined;
  if (typeof described.body === 'string') return { content: { [described.body]: { schema: BYTES } } };
  return { content: { 'application/json': { schema: described.body } } };
}

function responses(described: Route): Record<string, ResponseConfig> {
  const all: Record<string, ResponseConfig> = {};
  for (const [status, answer] of Object.entries(described.answers)) all[status] = response(answer);
  const failure = { description: 'Refused or failed', content: errorBody };
  return described.method === 'HEAD' ? all : { ...all, default: response(failure) };
}

function response({ description, content }: RouteAnswer): ResponseConfig {
  if (content === undefined) return { description };
  if (typeof content === 'string') return { description, content: { [content]: { schema: BYTES } } };
  return { description, content: { 'application/json': { schema: content } } };
}
