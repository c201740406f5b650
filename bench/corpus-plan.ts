/**
 * What the corpus consists of: for each file of a generation a list of pieces, which are kept from the
 * generation before, repeated from earlier in the same file, or fresh. Pure: from a specification, a seed and
 * the plan before. The specifications below give five generations of about 1.88 GB with 2-5 % changed each,
 * in about 2000 places.
 */
import type { Flavour } from './content.js';
import { deriveSeed, Random } from './random.js';

const KIB = 1024;
const MB = 1e6;
const TAR_BLOCK = 512;

/** A stretch of a file that is changed, dropped or kept as one: an archive's member, a page, an extent. */
export interface Unit {
  readonly flavour: Flavour;
  readonly size: number;
}

export type Piece =
  /** From the same file of the generation before. */
  | { readonly kind: 'keep'; readonly offset: number; readonly size: number }
  /** From this very file, earlier. */
  | { readonly kind: 'again'; readonly offset: number; readonly size: number }
  | {
      readonly kind: 'fresh';
      readonly flavour: Flavour;
      readonly seed: number;
      readonly size: number;
      readonly isMember: boolean;
    };

export interface FilePlan {
  readonly pieces: readonly Piece[];
  readonly units: readonly Unit[];
}

/** Shares are of the units; a run is a count of units that follow each other. */
interface Churn {
  readonly editShare: number;
  readonly editRunMax: number;
  readonly patchMin: number;
  readonly patchMax: number;
  /** Do edits make the file longer, or does the unit keep its size? */
  readonly isShifting: boolean;
  readonly insertShare: number;
  readonly insertRunMax: number;
  readonly dropShare: number;
  /** Bytes of the file's first size, added at the end and cut from the head. */
  readonly appendShare: number;
  readonly trimShare: number;
}

export interface FileSpecification {
  readonly name: string;
  readonly size: number;
  /** Units are members of an archive: header first, padded. */
  readonly isArchive: boolean;
  readonly unitSize: (random: Random) => number;
  /** Weights. */
  readonly flavours: Readonly<Partial<Record<Flavour, number>>>;
  /**
   * Share of the first generation that repeats what stands earlier in the file, in runs of this many units.
   */
  readonly againShare: number;
  readonly againRun: number;
  readonly churn: Churn;
}

const STILL: Churn = {
  editShare: 0,
  editRunMax: 1,
  patchMin: 100,
  patchMax: 2000,
  isShifting: false,
  insertShare: 0,
  insertRunMax: 1,
  dropShare: 0,
  appendShare: 0,
  trimShare: 0,
};

const archive = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: true,
  unitSize: random => alignUp(TAR_BLOCK + Math.min(random.logNormal(5000, 1.4), 4000 * KIB), TAR_BLOCK),
  flavours: { source: 52, prose: 34, program: 12, media: 2 },
  againShare: 0.32,
  againRun: 120,
  churn: { ...STILL, editShare: 0.014, insertShare: 0.0015, insertRunMax: 8, dropShare: 0.002 },
});

const database = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: false,
  unitSize: () => 8 * KIB,
  flavours: { page: 1 },
  againShare: 0,
  againRun: 1,
  churn: { ...STILL, editShare: 0.009, editRunMax: 8, patchMin: 200, patchMax: 7000, appendShare: 0.004 },
});

const dump = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: false,
  unitSize: random => random.between(24 * KIB, 40 * KIB),
  flavours: { sql: 1 },
  againShare: 0,
  againRun: 1,
  churn: {
    ...STILL,
    editShare: 0.035,
    patchMin: 60,
    patchMax: 300,
    isShifting: true,
    insertShare: 0.02,
    appendShare: 0.004,
  },
});

const image = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: false,
  unitSize: random => 4 * KIB * random.between(1, 32),
  flavours: { zero: 34, program: 24, source: 16, prose: 14, page: 9, media: 3 },
  againShare: 0.18,
  againRun: 40,
  churn: { ...STILL, editShare: 0.05, patchMin: 4 * KIB, patchMax: 64 * KIB },
});

const media = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: false,
  unitSize: random => random.between(500 * KIB, 3000 * KIB),
  flavours: { media: 1 },
  againShare: 0,
  againRun: 1,
  churn: {
    ...STILL,
    editShare: 0.3,
    patchMin: 7,
    patchMax: 1001,
    isShifting: true,
    insertShare: 0.05,
    dropShare: 0.03,
  },
});

const log = (name: string, size: number): FileSpecification => ({
  name,
  size,
  isArchive: false,
  unitSize: () => 64 * KIB,
  flavours: { log: 1 },
  againShare: 0,
  againRun: 1,
  churn: { ...STILL, appendShare: 0.12, trimShare: 0.05 },
});

/**
 * Names sort as a backup program would walk them; several of a kind, so that parallel streams end together.
 */
export const SPECIFICATIONS: readonly FileSpecification[] = [
  log('app.log', 40 * MB),
  log('audit.log', 40 * MB),
  database('crm.sqlite', 160 * MB),
  database('mail.sqlite', 160 * MB),
  image('root.img', 180 * MB),
  image('var.img', 180 * MB),
  dump('orders.sql', 120 * MB),
  dump('stock.sql', 120 * MB),
  media('photos.bin', 70 * MB),
  media('videos.bin', 80 * MB),
  archive('tree-a.tar', 240 * MB),
  archive('tree-b.tar', 240 * MB),
  archive('tree-c.tar', 250 * MB),
];

export function alignUp(size: number, step: number): number {
  return Math.ceil(size / step) * step;
}

/** Collects pieces and units; joins what is kept in one stretch. */
class PlanBuilder {
  readonly pieces: Piece[] = [];
  readonly units: Unit[] = [];
  size = 0;
  private drawn = 0;

  constructor(
    private readonly specification: FileSpecification,
    private readonly seed: number,
  ) {}

  keep(offset: number, size: number): void {
    const last = this.pieces.at(-1);
    if (size <= 0) return;
    if (last?.kind === 'keep' && last.offset + last.size === offset) {
      this.pieces[this.pieces.length - 1] = { ...last, size: last.size + size };
    } else {
      this.pieces.push({ kind: 'keep', offset, size });
    }
    this.size += size;
  }

  fresh(flavour: Flavour, size: number, isMember: boolean): void {
    this.drawn += 1;
    this.pieces.push({ kind: 'fresh', flavour, seed: deriveSeed(this.seed, this.drawn), size, isMember });
    this.size += size;
  }

  freshUnit(random: Random): void {
    const unit = {
      flavour: pickFlavour(this.specification, random),
      size: this.specification.unitSize(random),
    };
    this.fresh(unit.flavour, unit.size, this.specification.isArchive);
    this.units.push(unit);
  }

  again(offset: number, units: readonly Unit[]): void {
    const size = units.reduce((total, unit) => total + unit.size, 0);
    this.pieces.push({ kind: 'again', offset, size });
    this.units.push(...units);
    this.size += size;
  }
}

function pickFlavour(specification: FileSpecification, random: Random): Flavour {
  const weights = Object.entries(specification.flavours) as [Flavour, number][];
  let draw = random.unit() * weights.reduce((total, [, weight]) => total + weight, 0);
  for (const [flavour, weight] of weights) {
    draw -= weight;
    if (draw < 0) return flavour;
  }
  return weights[0]![0];
}

function repeatEarlier(builder: PlanBuilder, specification: FileSpecification, random: Random): void {
  const count = Math.min(random.between(1, specification.againRun), builder.units.length);
  const first = random.below(builder.units.length - count + 1);
  let offset = 0;
  for (let i = 0; i < first; i += 1) offset += builder.units[i]!.size;
  builder.again(offset, builder.units.slice(first, first + count));
}

/** The first generation of a file. */
export function planFirst(specification: FileSpecification, seed: number, scale: number): FilePlan {
  const random = new Random(seed);
  const builder = new PlanBuilder(specification, seed);
  const againRate =
    (2 * specification.againShare) / ((1 - specification.againShare) * specification.againRun);
  while (builder.size < specification.size * scale) {
    if (builder.units.length > 0 && random.unit() < againRate) repeatEarlier(builder, specification, random);
    else builder.freshUnit(random);
  }
  return builder;
}

/** Writes fresh bytes into a unit; in an archive what stands behind moves, and the padding takes it up. */
function editUnit(
  builder: PlanBuilder,
  specification: FileSpecification,
  unit: Unit,
  offset: number,
  random: Random,
): void {
  const { churn, isArchive } = specification;
  const patch = Math.min(random.between(churn.patchMin, churn.patchMax), unit.size);
  const flavour = unit.flavour === 'zero' ? 'program' : unit.flavour;
  const at = random.below(unit.size - patch + 1);
  builder.keep(offset, at);
  builder.fresh(flavour, patch, false);
  if (churn.isShifting) {
    builder.keep(offset + at, unit.size - at);
    builder.units.push({ flavour, size: unit.size + patch });
    return;
  }
  const removed = isArchive ? random.below(patch + 1) : patch;
  builder.keep(offset + at + removed, unit.size - at - patch);
  builder.units.push({ flavour, size: unit.size });
}

function appendUnits(builder: PlanBuilder, size: number, random: Random): void {
  const end = builder.size + size;
  while (builder.size < end) builder.freshUnit(random);
}

/** The next generation of a file: mostly kept, changed in as many places as the specification says. */
export function planNext(specification: FileSpecification, before: FilePlan, seed: number): FilePlan {
  const random = new Random(seed);
  const builder = new PlanBuilder(specification, seed);
  const { churn } = specification;
  const sizeBefore = before.units.reduce((total, unit) => total + unit.size, 0);
  let offset = 0;
  let editsLeft = 0;
  for (const unit of before.units) {
    const draw = random.unit();
    if (editsLeft === 0 && draw < churn.editShare) editsLeft = random.between(1, churn.editRunMax);
    const isTrimmed = offset < churn.trimShare * sizeBefore;
    const isDropped = isTrimmed || (draw >= churn.editShare && draw < churn.editShare + churn.dropShare);
    if (editsLeft > 0) {
      editUnit(builder, specification, unit, offset, random);
      editsLeft -= 1;
    } else if (!isDropped) {
      builder.keep(offset, unit.size);
      builder.units.push(unit);
    }
    offset += unit.size;
    if (random.unit() < churn.insertShare) {
      for (let run = random.between(1, churn.insertRunMax); run > 0; run -= 1) builder.freshUnit(random);
    }
  }
  appendUnits(builder, churn.appendShare * sizeBefore, random);
  return builder;
}
