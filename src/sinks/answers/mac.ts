/** Who may answer: whoever holds the key. Producing commands takes no more than the right to write to their topic. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** What the keys are derived for. */
export const ANSWER_KEY_PURPOSE = 'answers of people to commands that wait';

export interface AnswerMac {
  /** Hex, under the newest key. */
  sign(text: string): string;
  /** Under any of the keys, so that answers outlive the change of a key. */
  verify(text: string, mac: string): boolean;
}

/** The newest key first. */
export function createAnswerMac(keys: readonly Buffer[]): AnswerMac {
  const [newest] = keys;
  if (newest === undefined) throw new TypeError('Answers need a key');
  const macOf = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  return {
    sign: (text) => macOf(newest, text).toString('hex'),
    verify(text, mac) {
      const claimed = Buffer.from(mac, 'hex');
      return keys.some((key) => {
        const right = macOf(key, text);
        return claimed.length === right.length && timingSafeEqual(claimed, right);
      });
    },
  };
}
