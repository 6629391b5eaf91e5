package peer;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.camel.Exchange;
import org.apache.camel.Message;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.component.kafka.KafkaConstants;
import org.apache.camel.main.Main;

/**
 * What a Camel user would write for a signed webhook: check the HMAC over the raw body, take the key from the JSON,
 * hand the bytes to Kafka with acks=all, answer when they are acknowledged. The producer is tuned (1 ms linger, 128 KiB
 * batches): with Camel's defaults it is slower, and a peer at its worst proves nothing.
 */
public final class SignedRoute extends RouteBuilder {
  private static final String SIGNATURE = "X-Kustomer-Webhook-Signature";

  private final SecretKeySpec key = new SecretKeySpec(System.getenv("TOKEN").getBytes(UTF_8), "HmacSHA256");
  /** A Mac is not safe for several threads, and making one for each request costs more than the hashing. */
  private final ThreadLocal<Mac> macs = ThreadLocal.withInitial(this::newMac);

  @Override
  public void configure() {
    String kafka = "kafka:%s?brokers=%s&requestRequiredAcks=all&lingerMs=1&producerBatchSize=131072"
        .formatted(System.getenv("TOPIC"), System.getenv("KAFKA_BROKERS"));
    from("platform-http:" + System.getenv("WEBHOOK_PATH") + "?httpMethodRestrict=POST")
        .convertBodyTo(byte[].class)
        .choice()
        .when(exchange -> !signed(exchange.getMessage()))
          .setHeader(Exchange.HTTP_RESPONSE_CODE, constant(401))
          .setBody(constant(""))
        .otherwise()
          .setHeader(KafkaConstants.KEY).jsonpath("$.data.id", String.class)
          .to(kafka)
          .removeHeaders("*")
          .setBody(constant(""))
        .end();
  }

  private boolean signed(Message message) {
    String given = message.getHeader(SIGNATURE, "", String.class);
    byte[] expected = macs.get().doFinal(message.getBody(byte[].class));
    return MessageDigest.isEqual(HexFormat.of().formatHex(expected).getBytes(US_ASCII), given.getBytes(US_ASCII));
  }

  private Mac newMac() {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(key);
      return mac;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  public static void main(String[] args) throws Exception {
    Main main = new Main();
    main.addInitialProperty("camel.server.enabled", "true");
    main.addInitialProperty("camel.server.host", "127.0.0.1");
    main.addInitialProperty("camel.server.port", System.getenv("PORT"));
    main.configure().addRoutesBuilder(new SignedRoute());
    main.run();
  }
}
