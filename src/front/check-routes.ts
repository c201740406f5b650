/**
 * Checks of what is stored: verify and scrub. They answer when they are done, which may take hours: a client
 * that names its call (x-granary-job) may ask meanwhile how it goes, and one that has gone ends it.
 */
import type { Clock } from '../base/clock.js';
import { CLIENT_CHECK_MS, JOBS_NAMED_MAX } from '../base/limits.js';
import type { CheckProgress, FrontContext } from './context.js';
import type { HttpRequest, HttpResponse } from './http.js';
import { nameIn } from './named-uploads.js';
import { NamedWork } from './named-work.js';
import { type Call, type Route, route } from './route.js';
import * as schema from './schema.js';

type Checking = Pick<Call<unknown, unknown, unknown>, 'request' | 'response' | 'user'>;

export function checkRoutes(context: FrontContext): Route[] {
  const jobs = new NamedWork<CheckProgress>('job', JOBS_NAMED_MAX);
  const watched = <T>(call: Checking, work: (watch: Watch) => Promise<T>) => {
    const watch = new Watch(context.clock, call.request, call.response);
    const forget = jobs.add(call.user, watch.name, watch);
    return work(watch).finally(() => {
      forget();
      watch.end();
    });
  };
  const headers = { 'x-granary-job': 'a name under which /api/v1/jobs tells how it goes' };
  return [
    route({
      method: 'POST',
      pattern: '/api/v1/verify',
      summary: 'Checks what is stored and answers when it is done, which may take long.',
      body: schema.verifyRequest,
      headers,
      answers: { 200: { description: 'The report', content: schema.verifyReport } },
      handle: async ({ body, ...call }) => ({
        status: 200,
        json: await watched(call, watch => context.verify({ ...body, ...watch.options })),
      }),
    }),
    route({
      method: 'POST',
      pattern: '/api/v1/scrub',
      summary: 'Reads all records, references and new files now, and answers when it is done.',
      body: schema.scrubRequest,
      headers,
      answers: { 200: { description: 'A report a group', content: schema.scrubReport.array() } },
      handle: async ({ body, ...call }) => ({
        status: 200,
        json: await watched(call, watch => context.scrub.run({ ...body, ...watch.options })),
      }),
    }),
    route({
      method: 'GET',
      pattern: '/api/v1/scrub',
      summary: 'How far scrub is, and what it has found.',
      query: schema.scrubQuery,
      answers: { 200: { description: 'A status a group', content: schema.scrubStatus.array() } },
      handle: async ({ query }) => ({ status: 200, json: await context.scrub.status(query.group) }),
    }),
    route({
      method: 'GET',
      pattern: '/api/v1/jobs/{job}',
      summary: 'How a check of the same user goes that was named by x-granary-job.',
      params: schema.jobParams,
      answers: { 200: { description: 'So far', content: schema.jobProgress } },
      handle: async ({ params, user }) => ({ status: 200, json: jobs.progress(user!, params.job) }),
    }),
  ];
}

/** How far one call is, and whether somebody waits for it still. */
class Watch {
  readonly name: string | undefined;
  readonly options: { readonly signal: AbortSignal; readonly onProgress: (progress: CheckProgress) => void };
  progress: CheckProgress = { group: '', stage: '', done: 0, total: 0 };
  readonly #clock: Clock;
  readonly #response: HttpResponse;
  readonly #abort = new AbortController();
  #timer: ReturnType<Clock['after']> | undefined;

  constructor(clock: Clock, request: HttpRequest, response: HttpResponse) {
    this.#clock = clock;
    this.#response = response;
    this.name = nameIn(request, 'x-granary-job');
    this.options = {
      signal: this.#abort.signal,
      onProgress: progress => {
        this.progress = progress;
      },
    };
    this.#look();
  }

  end(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    if (this.#response.isClosed) this.#abort.abort();
    else this.#timer = this.#clock.after(CLIENT_CHECK_MS, () => this.#look());
  }
}
