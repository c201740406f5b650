/**
 * Reads one request's body for a route: into an upload with its backpressure, as a small JSON document, or
 * away. It is the body's only sink, so that a route that fails in the middle leaves nothing behind that still
 * wants bytes.
 */
import type { Clock } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { DRAIN_SIZE_MAX, DRAIN_TIMEOUT_MS } from '../base/limits.js';
import type { BodySink, HttpBody } from './http.js';
import { Refusal } from './refusal.js';

/** Where a body's bytes go; Upload is one. */
export interface ByteConsumer {
  /**
   * Copies before it returns. False: no more before ready() (what is on its way already comes nevertheless).
   */
  write(bytes: Uint8Array): boolean;
  ready(): Promise<void>;
}

interface Target {
  onData(bytes: Uint8Array): void;
  onEnd(): void;
  onFailure(thrown: unknown): void;
}

const NOWHERE: Target = { onData() {}, onEnd() {}, onFailure() {} };

export class BodyReader implements BodySink {
  readonly #body: HttpBody;
  #target = NOWHERE;
  #hasEnded = false;
  #failure: StoreError | undefined;

  constructor(body: HttpBody) {
    this.#body = body;
  }

  /** Has all of it come, as far as the server knows? */
  get isComplete(): boolean {
    return this.#body.isComplete;
  }

  get isHeldBack(): boolean {
    return this.#body.isHeldBack;
  }

  /**
   * Resolves when the whole body has been written. CANCELLED when the client goes; what the consumer throws.
   */
  into(consumer: ByteConsumer): Promise<void> {
    return this.#run((resolve, reject) => {
      let isWaiting = false;
      const goOn = () => {
        isWaiting = false;
        this.#body.resume();
      };
      return {
        onData: bytes => {
          if (consumer.write(bytes) || isWaiting) return;
          isWaiting = true;
          this.#body.pause();
          consumer.ready().then(goOn, reject);
        },
        onEnd: resolve,
        onFailure: reject,
      };
    });
  }

  /** The whole body; 413 when it is longer than `sizeMax`. */
  async bytes(sizeMax: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    await this.#run((resolve, reject) => ({
      onData: bytes => {
        size += bytes.length;
        if (size > sizeMax) reject(new Refusal(413, 'INVALID', `the body is longer than ${sizeMax} bytes`));
        else parts.push(Buffer.from(bytes));
      },
      onEnd: resolve,
      onFailure: reject,
    }));
    return Buffer.concat(parts);
  }

  /** Drops what still comes: until the end, the client's going, or a bound of size or time. Never fails. */
  async drop(clock: Clock): Promise<void> {
    let size = 0;
    const ended = this.#run((resolve, reject) => {
      const timer = clock.after(DRAIN_TIMEOUT_MS, resolve);
      const finish = () => {
        timer.cancel();
        resolve();
      };
      return {
        onData: bytes => {
          size += bytes.length;
          if (size > DRAIN_SIZE_MAX) finish();
        },
        onEnd: finish,
        onFailure: reject,
      };
    });
    this.#body.resume();
    await ended.catch((error: unknown) => {
      // The client went first: there is nobody to drain for.
      if (!(error instanceof StoreError)) throw error;
    });
  }

  // --- BodySink ---

  onData(bytes: Uint8Array): void {
    const target = this.#target;
    try {
      target.onData(bytes);
    } catch (thrown) {
      target.onFailure(thrown);
    }
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#target.onEnd();
  }

  onAbort(): void {
    this.#failure = new StoreError('CANCELLED', 'the client has gone before its request was complete');
    this.#target.onFailure(this.#failure);
  }

  /** Points the body at a target until it settles; then nothing is wanted of it. */
  #run(make: (resolve: () => void, reject: (thrown: unknown) => void) => Target): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#target = make(resolve, reject);
      if (!this.#body.isStarted) this.#body.start(this);
      else if (this.#failure !== undefined) this.#target.onFailure(this.#failure);
      else if (this.#hasEnded) this.#target.onEnd();
    }).finally(() => {
      this.#target = NOWHERE;
    });
  }
}
