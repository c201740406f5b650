/**
 * What runs on a worker thread: one verb a task, synchronous. Failures come back as values, because the
 * message port keeps neither the class of an error nor its code; the lane makes a StoreError of them again.
 */
import { type Code, StoreError } from '../base/errors.js';
import { type Binding, binding } from '../native/binding.js';
import { type CompositeVerbs, compositeVerbs } from './verbs.js';

export interface Task {
  readonly verb: string;
  readonly parameters: readonly unknown[];
}

export type Outcome =
  | { readonly value: unknown }
  | { readonly code: Code; readonly message: string }
  /** Not a failure but a bug. */
  | { readonly bug: string };

type Verb = (...parameters: unknown[]) => unknown;

/** Runs one task on `addon`; never throws. */
export function runTask(addon: Binding, composites: CompositeVerbs, task: Task): Outcome {
  try {
    const table: object = Object.hasOwn(composites, task.verb) ? composites : addon;
    const verb = Reflect.get(table, task.verb) as Verb;
    return { value: verb.call(table, ...task.parameters) };
  } catch (thrown) {
    if (thrown instanceof StoreError) return { code: thrown.code, message: thrown.message };
    const what = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return { bug: `verb ${task.verb}: ${what}` };
  }
}

let composites: CompositeVerbs | undefined;

/** The lane's entry point, once a task. */
export function call(task: Task): Outcome {
  try {
    const addon = binding();
    composites ??= compositeVerbs(addon);
    return runTask(addon, composites, task);
  } catch (thrown) {
    if (thrown instanceof StoreError) return { code: thrown.code, message: thrown.message };
    throw thrown;
  }
}
