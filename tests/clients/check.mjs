// What the JavaScript clients here share: counting checks.
import { isDeepStrictEqual } from "node:util";

let failed = 0;

/** Prints whether `truth` holds; what was `seen` stands beside a failure. */
export function check(what, truth, seen) {
  if (!truth) failed += 1;
  console.log(truth ? `ok    ${what}` : `FAIL  ${what}: ${JSON.stringify(seen)}`);
}

/** Checks that two values are the same. */
export function same(what, seen, wanted) {
  const truth = isDeepStrictEqual(seen, wanted);
  check(truth ? what : `${what}, wanted ${JSON.stringify(wanted)}`, truth, seen);
}

/** Checks that a call fails with `code` and `kind`, and returns the error's data. */
export async function refused(what, call, code, kind) {
  try {
    check(what, false, await call);
    return {};
  } catch (error) {
    const seen = { code: error.code, kind: error.data?.kind, message: error.message };
    check(what, error.code === code && error.data?.kind === kind && error.message !== "", seen);
    return error.data ?? {};
  }
}

/** The paths of an error of kind `invalid`, sorted. */
export function paths(data) {
  return (data.errors ?? []).map((fault) => fault.path).sort();
}

/** The server's address, from the command line or the environment. */
export function address() {
  const url = process.argv[2] ?? process.env.OSIS_URL;
  if (url) return url.replace(/\/$/, "");
  console.error(`usage: ${process.argv[1]} http://ADDRESS`);
  process.exit(2);
}

/** A word that occurs nowhere else, so that runs do not meet. */
export function freshWord() {
  return `t${Date.now().toString(36)}${process.pid.toString(36)}x${Math.random().toString(36).slice(2, 8)}`;
}

/** Ends the process: with 1 if a check failed. */
export function finish() {
  process.exit(failed === 0 ? 0 : 1);
}
