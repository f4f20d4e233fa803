// DOCS> Java, by grpc-java: `grpc-netty-shaded`, `grpc-protobuf` and `grpc-stub` of `io.grpc`, and `protoc-gen-grpc-java` for the code; for Java 17 or newer
// How to call jobgate with grpc-java. Copy what you need.

package dev.jobgate.interop;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.jobgate.v1.GetJobRequest;
import dev.jobgate.v1.Job;
import dev.jobgate.v1.JobServiceGrpc;
import dev.jobgate.v1.JobServiceGrpc.JobServiceBlockingStub;
import dev.jobgate.v1.WatchJobRequest;
import dev.jobgate.v1.WatchJobResponse;
import io.grpc.CallCredentials;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

final class Snippet {
  private Snippet() {}

  /** The library itself repeats what may pass, and waits as long as the gateway says. */
  static final Map<String, ?> SERVICE_CONFIG = serviceConfig("0.2s", "5s");

  static Map<String, ?> serviceConfig(String initialBackoff, String maxBackoff) {
    Map<String, ?> policy = Map.of(
        "maxAttempts", 4.0, // All numbers are doubles.
        "initialBackoff", initialBackoff,
        "maxBackoff", maxBackoff,
        "backoffMultiplier", 2.0,
        "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED"));
    Map<String, ?> name = Map.of("service", "jobgate.v1.JobService");
    return Map.of("methodConfig", List.of(Map.of("name", List.of(name), "retryPolicy", policy)));
  }

  /** A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long. */
  static final int MAX_FAILURES = 20;

  /** JobService over a channel. Make one and keep it: a channel connects again by itself. */
  record Client(JobServiceBlockingStub stub) implements AutoCloseable {
    Client(Channel channel, String token) {
      this(JobServiceGrpc.newBlockingStub(channel).withCallCredentials(new Token(token)));
    }

    /** The job as it is now. */
    Job get(String project, String job) {
      var request = GetJobRequest.newBuilder().setProjectId(project).setJobId(job).build();
      return stub.withDeadlineAfter(10, TimeUnit.SECONDS).getJob(request);
    }

    /**
     * Hands over all that happens to the job, to its end, or until the taker says false. A watch
     * that breaks is taken up again; what the taker throws ends it. A response has a job or, while
     * nothing changes, a heartbeat.
     */
    void watch(String project, String job, Predicate<WatchJobResponse> taker) throws Exception {
      var request = WatchJobRequest.newBuilder().setProjectId(project).setJobId(job);
      int failures = 0;
      while (true) {
        StatusRuntimeException failure;
        try (var context = Context.current().withCancellation()) {
          Iterator<WatchJobResponse> responses = context.call(() -> stub.watchJob(request.build()));
          while (true) {
            WatchJobResponse response;
            try {
              if (!responses.hasNext()) {
                return; // The job has ended.
              }
              response = responses.next();
            } catch (StatusRuntimeException error) {
              failure = error;
              break;
            }
            request.setResumeToken(response.getResumeToken());
            failures = 0;
            if (!taker.test(response)) {
              return;
            }
          }
        }
        failures++;
        if (!mayPass(failure) || failures == MAX_FAILURES) {
          throw failure;
        }
        Thread.sleep(pause(failure, failures));
      }
    }

    /** Ends the channel, and all calls on it. */
    @Override
    public void close() {
      if (stub.getChannel() instanceof ManagedChannel channel) {
        channel.shutdownNow();
      }
    }
  }

  /** Sends the token with each call. */
  static final class Token extends CallCredentials {
    private static final Metadata.Key<String> KEY =
        Metadata.Key.of("x-auth-token", Metadata.ASCII_STRING_MARSHALLER);
    private final String token;

    Token(String token) {
      this.token = token;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      var metadata = new Metadata();
      metadata.put(KEY, token);
      applier.apply(metadata);
    }
  }

  static ManagedChannel channel(String address, ChannelCredentials credentials) {
    // How long the gateway may be silent before it is asked whether it is there, and may then take:
    // a net that has forgotten a connection tells nobody.
    return Grpc.newChannelBuilder(address, credentials)
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .defaultServiceConfig(SERVICE_CONFIG)
        .build();
  }

  /** A client without TLS: on the same machine, or within a mesh. */
  static Client plaintext(String address, String token) {
    return new Client(channel(address, InsecureChannelCredentials.create()), token);
  }

  /** A client with TLS. Authority: a PEM file, for a private one, or null. */
  static Client tls(String address, String token, File authority) throws IOException {
    var credentials = authority == null
        ? TlsChannelCredentials.create()
        : TlsChannelCredentials.newBuilder().trustManager(authority).build();
    return new Client(channel(address, credentials), token);
  }

  /** What an error says besides code and text, such as ErrorInfo. */
  static <T extends Message> Optional<T> detail(Throwable error, Class<T> type) {
    var status = StatusProto.fromThrowable(error);
    for (Any packed : status == null ? List.<Any>of() : status.getDetailsList()) {
      try {
        if (packed.is(type)) {
          return Optional.of(packed.unpack(type));
        }
      } catch (InvalidProtocolBufferException unreadable) {
        return Optional.empty();
      }
    }
    return Optional.empty();
  }

  /** Why a call failed, such as JOB_NOT_FOUND, if the gateway said so itself. */
  static Optional<String> reason(Throwable error) {
    return detail(error, ErrorInfo.class)
        .filter(info -> info.getDomain().equals("jobgate"))
        .map(ErrorInfo::getReason);
  }

  /** The milliseconds to wait before another try, if the gateway said so. */
  static Optional<Long> retryDelay(Throwable error) {
    return detail(error, RetryInfo.class)
        .map(RetryInfo::getRetryDelay)
        .map(delay -> delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000);
  }

  /** Whether another try may do better. */
  static boolean mayPass(StatusRuntimeException error) {
    return switch (error.getStatus().getCode()) {
      case UNAVAILABLE -> true;
      case RESOURCE_EXHAUSTED -> retryDelay(error).isPresent();
      default -> false;
    };
  }

  /** The milliseconds to wait: as the gateway says, a minute at most; else longer with each failure. */
  static long pause(Throwable error, int failures) {
    long wait = Math.min(125L << failures, 10_000);
    return Math.min(retryDelay(error).orElse(ThreadLocalRandom.current().nextLong(wait / 2, wait)), 60_000);
  }
}
