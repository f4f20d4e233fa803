// Plays the scenarios with grpc-java; see ../interop/scenarios.md.

package dev.jobgate.interop;

import static dev.jobgate.interop.Checks.EXAMPLE;
import static dev.jobgate.interop.Checks.same;
import static dev.jobgate.interop.Program.ADDRESS;
import static dev.jobgate.interop.Program.PAUSE;
import static dev.jobgate.interop.Program.TOKEN;
import static dev.jobgate.interop.Program.ask;
import static dev.jobgate.interop.Program.channel;
import static dev.jobgate.interop.Program.method;
import static dev.jobgate.interop.Program.noneLeft;
import static dev.jobgate.interop.Program.oddMetadata;
import static dev.jobgate.interop.Program.request;
import static dev.jobgate.interop.Program.table;
import static dev.jobgate.interop.Program.text;
import static dev.jobgate.interop.Program.watchRequest;
import static java.util.concurrent.TimeUnit.MILLISECONDS;

import com.google.protobuf.Empty;
import dev.jobgate.interop.Snippet.Client;
import dev.jobgate.v1.Job;
import dev.jobgate.v1.JobServiceGrpc;
import dev.jobgate.v1.WatchJobResponse;
import io.grpc.CallOptions;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.internal.GrpcUtil;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;

final class Play {
  private Play() {}

  /** The snippet's client. */
  static Client usual() {
    return Snippet.plaintext(ADDRESS, TOKEN);
  }

  static Client plain(String token) {
    return new Client(channel(ADDRESS), token);
  }

  static Iterator<WatchJobResponse> watchOnce(Client client, String job, String token) {
    return client.stub().watchJob(watchRequest(job, token));
  }

  /** The error that the call ends with. */
  static StatusRuntimeException fails(String code, Callable<?> call) throws Exception {
    try {
      if (call.call() instanceof Iterator<?> responses) {
        responses.forEachRemaining(response -> {});
      }
    } catch (StatusRuntimeException error) {
      same(error.getStatus().getCode().toString(), code);
      return error;
    }
    throw new AssertionError("no error");
  }

  static StatusRuntimeException fails(String code, String reason, Callable<?> call) throws Exception {
    var error = fails(code, call);
    same(Snippet.reason(error).orElse(null), reason);
    return error;
  }

  static Job unknown(String service, String method) {
    var options = CallOptions.DEFAULT.withCallCredentials(new Snippet.Token(TOKEN));
    var empty = Empty.getDefaultInstance();
    return ClientCalls.blockingUnaryCall(channel(ADDRESS), method(service, method), options, empty);
  }

  static void play(String name) throws Exception {
    switch (name) {
      case "example_job" -> {
        var client = usual();
        try (client) {
          Checks.example(client.get("p", EXAMPLE));
        }
        fails("UNAVAILABLE", () -> client.get("p", EXAMPLE)); // It is closed.
      }
      case "entity_shapes" -> Checks.entities(usual().get("p", "entities"), table("entities.txt"));
      case "field_presence" -> {
        Checks.presence(usual().get("p", "absent"), false);
        Checks.presence(usual().get("p", "blank"), false);
        Checks.presence(usual().get("p", "nested"), true);
      }
      case "sub_jobs" -> Checks.subJobs(usual().get("p", "nested"));
      case "large_job" -> Checks.large(usual().get("p", "large"));
      case "error_codes" -> errorCodes();
      case "credentials_missing" -> fails("UNAUTHENTICATED", "CREDENTIALS_MISSING",
          () -> JobServiceGrpc.newBlockingStub(channel(ADDRESS)).getJob(request(EXAMPLE)));
      case "call_credentials" -> {
        var authority = new File(System.getenv("JOBGATE_CA"));
        Checks.example(Snippet.tls(System.getenv("JOBGATE_TLS_ADDRESS"), TOKEN, authority).get("p", EXAMPLE));
      }
      case "special_message" -> {
        var error = fails("ABORTED", () -> usual().get("p", "message"));
        String text = error.getStatus().getDescription();
        same(text.contains(table("message.txt").get(0)) ? "" : text, "");
      }
      case "pushback" -> pushback();
      case "deadline" -> {
        var hasty = usual().stub().withDeadlineAfter(300, MILLISECONDS);
        fails("DEADLINE_EXCEEDED", () -> hasty.getJob(request("slow")));
        var client = new Client(usual().stub().withDeadlineAfter(2000, MILLISECONDS));
        var watch = watchOnce(client, "endless", "");
        same(watch.next().getJob().getStatusText(), "RUNNING");
        fails("DEADLINE_EXCEEDED", () -> watch);
        noneLeft();
      }
      case "cancel_after_begin" -> {
        var context = Context.current().withCancellation();
        var watch = context.call(() -> watchOnce(usual(), "slow", ""));
        context.cancel(null);
        fails("CANCELLED", () -> watch);
        noneLeft();
      }
      case "cancel_after_first_response" -> {
        var context = Context.current().withCancellation();
        var watch = context.call(() -> watchOnce(usual(), "endless", ""));
        same(watch.next().getJob().getStatusText(), "RUNNING");
        context.cancel(null);
        fails("CANCELLED", () -> watch);
        noneLeft();
      }
      case "watch_to_end" -> {
        var responses = new ArrayList<WatchJobResponse>();
        usual().watch("p", ask("backup"), responses::add);
        Checks.history(responses);
        noneLeft();
      }
      case "watch_resume" -> watchResume();
      case "watch_resume_killed" -> takenUp(usual(), "kill", "killed");
      case "watch_silent" ->
          takenUp(Snippet.plaintext(System.getenv("JOBGATE_RELAY_ADDRESS"), TOKEN), "silence", "silent");
      case "watch_pushback" -> watchPushback();
      case "gzip" -> {
        same(gzip("z".repeat(128)).getStatusText(), "RUNNING");
        Checks.large(gzip("large"));
      }
      case "unimplemented_method" -> fails("UNIMPLEMENTED", "METHOD_NOT_IMPLEMENTED",
          () -> unknown("jobgate.v1.JobService", "NoSuchMethod"));
      case "unimplemented_service" -> fails("UNIMPLEMENTED", () -> unknown("jobgate.v1.NoSuchService", "GetJob"));
      case "metadata" -> metadata();
      case "goaway" -> {
        var client = new Client(channel(System.getenv("JOBGATE_AGING_ADDRESS")), TOKEN);
        for (long end = System.nanoTime() + 3_000_000_000L; System.nanoTime() < end; ) {
          Checks.example(client.get("p", EXAMPLE));
        }
      }
      case "soak" -> soak();
      case "health" -> health();
      case "reflection" -> {
        var call = ServerReflectionGrpc.newBlockingV2Stub(channel(ADDRESS)).serverReflectionInfo();
        call.write(ServerReflectionRequest.newBuilder().setListServices("").build());
        var services = call.read().getListServicesResponse().getServiceList();
        same(services.stream().anyMatch(it -> it.getName().equals("jobgate.v1.JobService")), true);
        call.cancel("enough", null);
      }
      default -> throw new AssertionError("no such scenario");
    }
  }

  static void errorCodes() throws Exception {
    for (String line : table("errors.txt")) {
      String job = line.split(" ")[0];
      String code = line.split(" ")[1];
      Checks.error(fails(code, () -> plain(TOKEN + "-get-" + job).get("p", job)), line);
      Checks.error(fails(code, () -> watchOnce(plain(TOKEN + "-watch-" + job), job, "")), line);
    }
  }

  static void pushback() {
    // The policy's own waits are short, so that a long one was the server's wish.
    var channel = Grpc.newChannelBuilder(ADDRESS, InsecureChannelCredentials.create())
        .defaultServiceConfig(Snippet.serviceConfig("0.05s", "0.1s"))
        .build();
    long begun = System.nanoTime();
    same(new Client(channel, TOKEN + "-pushback").get("p", "pushback").getStatusText(), "RUNNING");
    same(System.nanoTime() - begun > PAUSE, true);
  }

  static void watchPushback() throws Exception {
    long begun = System.nanoTime();
    var seen = new ArrayList<WatchJobResponse>();
    plain(TOKEN + "-watch-pushback").watch("p", "pushback", response -> {
      seen.add(response);
      return false;
    });
    same(seen.get(0).getJob().getStatusText(), "RUNNING");
    same(System.nanoTime() - begun > PAUSE, true);
    // What a taker throws is its own, and ends the watch, even if it looks like the watch's.
    seen.clear();
    var own = Status.UNAVAILABLE.withDescription("the taker's").asRuntimeException();
    var found = fails("UNAVAILABLE", () -> {
      plain(TOKEN).watch("p", EXAMPLE, response -> {
        seen.add(response);
        throw own;
      });
      return null;
    });
    same(List.of(found == own, seen.size()), List.of(true, 1));
  }

  /** A watch that goes on after what the runner is asked to do. */
  static void takenUp(Client client, String line, String answer) throws Exception {
    var first = new AtomicReference<String>();
    var begun = new AtomicReference<Instant>();
    client.watch("p", "endless", response -> {
      if (first.get() == null) {
        same(response.getJob().getStatusText(), "RUNNING");
        first.set(response.getResumeToken());
        try {
          same(ask(line), answer);
        } catch (IOException problem) {
          throw new AssertionError(problem);
        }
        begun.set(Instant.now());
        return true;
      }
      same(List.of(response.hasHeartbeat(), response.getResumeToken()), List.of(true, first.get()));
      var observed = response.getObserveTime();
      return Instant.ofEpochSecond(observed.getSeconds(), observed.getNanos()).isBefore(begun.get());
    });
  }

  static void watchResume() throws Exception {
    takenUp(usual(), "restart", "restarted");
    var seen = new ArrayList<WatchJobResponse>();
    usual().watch("p", EXAMPLE, seen::add);
    same(seen.size(), 1);
    same(watchOnce(usual(), EXAMPLE, seen.get(0).getResumeToken()).hasNext(), false);
    noneLeft();
  }

  static Job gzip(String job) {
    var headers = new AtomicReference<Metadata>();
    var seen = MetadataUtils.newCaptureMetadataInterceptor(headers, new AtomicReference<>());
    var found = plain(TOKEN).stub().withCompression("gzip").withInterceptors(seen).getJob(request(job));
    same(headers.get().get(text("grpc-encoding")), "gzip");
    return found;
  }

  static void metadata() {
    var headers = new AtomicReference<Metadata>();
    var job = JobServiceGrpc.newBlockingStub(channel(ADDRESS))
        .withInterceptors(
            MetadataUtils.newAttachHeadersInterceptor(oddMetadata()),
            MetadataUtils.newCaptureMetadataInterceptor(headers, new AtomicReference<>()))
        .getJob(request(EXAMPLE));
    Checks.example(job);
    same(headers.get().get(text("x-request-id")), "interop");
  }

  static void soak() throws Exception {
    var client = plain(TOKEN);
    var pool = Executors.newFixedThreadPool(10);
    var calls = new ArrayList<Future<Job>>();
    for (int call = 0; call < 1000; call++) {
      calls.add(pool.submit(() -> client.get("p", EXAMPLE)));
    }
    for (Future<Job> call : calls) {
      Checks.example(call.get());
    }
    pool.shutdown();
  }

  static void health() throws Exception {
    var stub = HealthGrpc.newBlockingStub(channel(ADDRESS));
    var ours = HealthCheckRequest.newBuilder().setService("jobgate.v1.JobService").build();
    same(stub.check(ours).getStatus(), ServingStatus.SERVING);
    try (var context = Context.current().withCancellation()) {
      same(context.call(() -> stub.watch(ours)).next().getStatus(), ServingStatus.SERVING);
    }
    var other = HealthCheckRequest.newBuilder().setService("no.such").build();
    fails("NOT_FOUND", () -> stub.check(other));
  }

  public static void main(String[] names) {
    Program.main(names, GrpcUtil.getGrpcBuildVersion().getImplementationVersion(), name -> {
      play(name);
      return "";
    });
  }
}
