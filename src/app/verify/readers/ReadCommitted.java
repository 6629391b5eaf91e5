import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Follows topics with read_committed from their beginning and writes what it sees to standard output, until it is
 * killed or its output is closed. Arguments: a properties file, then topics. Frames, all numbers big-endian:
 *
 *   V utf version of the client
 *   T utf topic, int partitions                                  (before its records; 0 = does not exist yet)
 *   R utf topic, int partition, long offset, long timestamp, long arrival, bytes key, bytes value,
 *     int headers, then per header: utf name, bytes value
 *   E utf topic, int partition, long offset                      (everything committed so far has been given)
 *
 * bytes = int length (-1 for null), then as many bytes.
 */
public final class ReadCommitted {
  private static final Duration POLL = Duration.ofMillis(50);
  private static final long TOPIC_POLL_MS = 500;
  private static boolean looked = false;

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    try (var file = new InputStreamReader(new FileInputStream(args[0]), StandardCharsets.UTF_8)) {
      properties.load(file);
    }
    // The service must not be able to influence how its output is read, nor the reader leave traces in the cluster.
    properties.put("isolation.level", "read_committed");
    properties.put("enable.auto.commit", "false");
    properties.put("allow.auto.create.topics", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("max.poll.records", "2000");
    List<String> missing = new ArrayList<>(List.of(args).subList(1, args.length));
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
    out.writeByte('V');
    out.writeUTF(AppInfoParser.getVersion());
    out.flush();
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<byte[], byte[]>(properties, bytes, bytes)) {
      follow(consumer, missing, out);
    }
  }

  private static void follow(KafkaConsumer<byte[], byte[]> consumer, List<String> missing, DataOutputStream out)
      throws Exception {
    List<TopicPartition> assigned = new ArrayList<>();
    Map<TopicPartition, Long> announced = new HashMap<>();
    long lookAgainAt = 0;
    while (true) {
      if (!missing.isEmpty() && System.currentTimeMillis() >= lookAgainAt) {
        if (addNewTopics(consumer, missing, assigned, out)) consumer.assign(assigned);
        lookAgainAt = System.currentTimeMillis() + TOPIC_POLL_MS;
      }
      if (assigned.isEmpty()) {
        Thread.sleep(POLL.toMillis());
        continue;
      }
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) write(out, record);
      for (TopicPartition partition : assigned) announceEnd(consumer, partition, announced, out);
      out.flush();
      if (System.out.checkError()) return; // Nobody reads any more.
    }
  }

  private static boolean addNewTopics(KafkaConsumer<byte[], byte[]> consumer, List<String> missing,
      List<TopicPartition> assigned, DataOutputStream out) throws Exception {
    Map<String, List<PartitionInfo>> topics = consumer.listTopics();
    boolean firstLook = !looked;
    looked = true;
    for (String topic : List.copyOf(missing)) {
      List<PartitionInfo> partitions = topics.get(topic);
      boolean exists = partitions != null && !partitions.isEmpty();
      if (exists || firstLook) {
        out.writeByte('T');
        out.writeUTF(topic);
        out.writeInt(exists ? partitions.size() : 0);
      }
      if (!exists) continue;
      missing.remove(topic);
      for (PartitionInfo info : partitions) assigned.add(new TopicPartition(topic, info.partition()));
    }
    out.flush();
    return !assigned.isEmpty();
  }

  /** The lag is that to the last stable offset, so 0 means that all that is committed has been given. */
  private static void announceEnd(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition,
      Map<TopicPartition, Long> announced, DataOutputStream out) throws Exception {
    var lag = consumer.currentLag(partition);
    if (lag.isEmpty() || lag.getAsLong() != 0) return;
    long position = consumer.position(partition);
    Long before = announced.put(partition, position);
    if (before != null && before == position) return;
    out.writeByte('E');
    out.writeUTF(partition.topic());
    out.writeInt(partition.partition());
    out.writeLong(position);
  }

  private static void write(DataOutputStream out, ConsumerRecord<byte[], byte[]> record) throws Exception {
    out.writeByte('R');
    out.writeUTF(record.topic());
    out.writeInt(record.partition());
    out.writeLong(record.offset());
    out.writeLong(record.timestamp());
    out.writeLong(System.currentTimeMillis());
    writeBytes(out, record.key());
    writeBytes(out, record.value());
    Header[] headers = record.headers().toArray();
    out.writeInt(headers.length);
    for (Header header : headers) {
      out.writeUTF(header.key());
      writeBytes(out, header.value());
    }
  }

  private static void writeBytes(DataOutputStream out, byte[] bytes) throws Exception {
    out.writeInt(bytes == null ? -1 : bytes.length);
    if (bytes != null) out.write(bytes);
  }
}
