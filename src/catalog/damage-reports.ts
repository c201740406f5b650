/**
 * Chunks that a read has found damaged and that scrub has not looked at yet: the way from a restore to scrub,
 * which do not know each other. Whoever reads adds, scrub takes. In memory: what is forgotten here the next
 * pass over all records finds.
 */
import { DAMAGE_REPORTS_MAX } from '../base/limits.js';
import { FINGERPRINT_SIZE } from '../native/binding.js';

export class DamageReports {
  readonly #names = new Set<string>();
  /** Is called when there is something to take. */
  onReport: () => void = () => undefined;

  get count(): number {
    return this.#names.size;
  }

  /** Packed fingerprints of chunks or blockmap nodes. Beyond DAMAGE_REPORTS_MAX they are left out. */
  add(fingerprints: Uint8Array): void {
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
      if (this.#names.size >= DAMAGE_REPORTS_MAX) break;
      this.#names.add(Buffer.from(fingerprints.subarray(at, at + FINGERPRINT_SIZE)).toString('hex'));
    }
    if (this.#names.size > 0) this.onReport();
  }

  /** Packed, and forgotten here. */
  take(): Uint8Array {
    const names = [...this.#names].join('');
    this.#names.clear();
    return new Uint8Array(Buffer.from(names, 'hex'));
  }
}
