package peer;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import peer.avro.Envelope;
import peer.avro.StatusChanged;

/**
 * The least a Kafka Streams user would write for the job: keep the last revision of each conversation in RocksDB, drop
 * what is not newer, write an Avro envelope, exactly-once. It does not keep late revisions, has no dead letters, one
 * event type and no registry: less work than the service does, in favour of the peer.
 */
public final class LastRevision {
  private static final String STORE = "last-revision";

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Webhook(String id, String org, Data data) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Data(String id, Attributes attributes) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Attributes(String name, String status, long rev, String updatedAt) {}

  public static void main(String[] args) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.Long())
            .withLoggingEnabled(Map.of()));
    builder.stream(env("SOURCE"), Consumed.with(Serdes.String(), webhooks()))
        .processValues(OnlyNewer::new, STORE)
        .to(env("TARGET"), Produced.with(Serdes.String(), envelopes()));
    KafkaStreams streams = new KafkaStreams(builder.build(), configuration());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(15))));
    streams.start();
  }

  private static Properties configuration() {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, env("APPLICATION_ID"));
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("KAFKA_BROKERS"));
    p.put(StreamsConfig.STATE_DIR_CONFIG, env("STATE_DIR"));
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    p.put(StreamsConfig.producerPrefix("compression.type"), "zstd");
    return p;
  }

  private static final class OnlyNewer implements FixedKeyProcessor<String, Webhook, Envelope> {
    private FixedKeyProcessorContext<String, Envelope> context;
    private KeyValueStore<String, Long> lastRevision;

    @Override
    public void init(FixedKeyProcessorContext<String, Envelope> given) {
      context = given;
      lastRevision = given.getStateStore(STORE);
    }

    @Override
    public void process(FixedKeyRecord<String, Webhook> record) {
      Attributes now = record.value().data().attributes();
      Long last = lastRevision.get(record.key());
      if (last != null && now.rev() <= last) return;
      lastRevision.put(record.key(), now.rev());
      context.forward(record.withValue(envelope(record.value())));
    }
  }

  private static Envelope envelope(Webhook webhook) {
    Attributes now = webhook.data().attributes();
    StatusChanged payload = StatusChanged.newBuilder()
        .setConversationId(webhook.data().id())
        .setRevision(now.rev())
        .setStatus(now.status())
        .setOccurredAt(now.updatedAt())
        .setName(now.name())
        .build();
    return Envelope.newBuilder()
        .setEventId(webhook.id())
        .setTenantId("t_" + webhook.org())
        .setSource("kustomer")
        .setEventType("conversation.status.changed")
        .setCorrelationId("co_" + webhook.id())
        .setPayload(payload)
        .build();
  }

  private static Serde<Webhook> webhooks() {
    ObjectReader reader = new ObjectMapper().readerFor(Webhook.class);
    return Serdes.serdeFrom(
        (topic, webhook) -> {
          throw new UnsupportedOperationException();
        },
        (topic, bytes) -> {
          try {
            return reader.readValue(bytes);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  /** The wire format of schema registries, with a fixed id: 0x00, id, Avro. */
  private static Serde<Envelope> envelopes() {
    SpecificDatumWriter<Envelope> writer = new SpecificDatumWriter<>(Envelope.class);
    ThreadLocal<BinaryEncoder> encoders = new ThreadLocal<>();
    byte[] header = ByteBuffer.allocate(5).putInt(1, 1).array();
    return Serdes.serdeFrom(
        (topic, envelope) -> {
          try {
            ByteArrayOutputStream out = new ByteArrayOutputStream(320);
            out.write(header);
            BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, encoders.get());
            encoders.set(encoder);
            writer.write(envelope, encoder);
            encoder.flush();
            return out.toByteArray();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        (topic, bytes) -> {
          throw new UnsupportedOperationException();
        });
  }

  private static String env(String name) {
    return System.getenv(name);
  }
}
