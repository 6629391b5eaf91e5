import { CodedError } from '../../base/errors.ts';
import type { Log } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';

const TIMESTAMP_TYPE = 'message.timestamp.type';
const BY_THE_LOG = 'LogAppendTime';

/** How many partitions they have. Throws `topic_invalid` when places could not be counted in them. */
export async function assertQuotaTopics(log: Log, names: Pick<TopicNames, 'quota' | 'quotaState'>): Promise<number> {
  const described = await log.admin.describeTopics([names.quota, names.quotaState]);
  const quota = described.find(({ name }) => name === names.quota);
  const twin = described.find(({ name }) => name === names.quotaState);
  if (quota === undefined || quota.partitions !== twin?.partitions) {
    const message = `${names.quota} and ${names.quotaState} must exist and have equal partition counts`;
    throw new CodedError('topic_invalid', message, { topic: names.quota, twin: names.quotaState });
  }
  const found = quota.config[TIMESTAMP_TYPE] ?? 'CreateTime';
  if (found !== BY_THE_LOG) {
    const message = `The topic ${names.quota} has ${TIMESTAMP_TYPE}=${found}. Limits count by the time of the log: set it to ${BY_THE_LOG}`;
    throw new CodedError('topic_invalid', message, { topic: names.quota, found });
  }
  return quota.partitions;
}
