// What the programs of this folder have in common: what the runner tells them, and what they tell it.

package dev.jobgate.interop;

import static dev.jobgate.interop.Checks.same;

import com.google.protobuf.Empty;
import dev.jobgate.v1.GetJobRequest;
import dev.jobgate.v1.Job;
import dev.jobgate.v1.WatchJobRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.protobuf.ProtoUtils;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

final class Program {
  static final String ADDRESS = System.getenv("JOBGATE_ADDRESS");
  static final String TOKEN = System.getenv("JOBGATE_TOKEN");
  /** What the pauses of two seconds are at least, however clocks are read; in nanoseconds. */
  static final long PAUSE = 1_900_000_000L;

  private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private static final BufferedReader IN =
      new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

  private Program() {}

  interface Scenarios {
    /** Plays one; returns what there is to note, or nothing. */
    String play(String name) throws Exception;
  }

  /** Plays the scenarios, and ends the process. */
  static void main(String[] names, String version, Scenarios scenarios) {
    if (names[0].equals("version")) {
      OUT.println(version + " on Java " + System.getProperty("java.version"));
      return;
    }
    for (String name : names) {
      try {
        String note = scenarios.play(name);
        OUT.println("ok " + name + (note.isEmpty() ? "" : ": " + note));
      } catch (Exception | AssertionError problem) {
        OUT.println("failed " + name + ": " + problem.toString().replaceAll("\\s+", " "));
      }
    }
    System.exit(0); // What is still open would keep the process alive.
  }

  static List<String> table(String name) throws IOException {
    return Files.readAllLines(Path.of(System.getenv("JOBGATE_TABLES"), name));
  }

  /** Asks the runner something. */
  static String ask(String line) throws IOException {
    OUT.println(line);
    return IN.readLine();
  }

  /** No watch is left at the gateway. Asked while the channel lives. */
  static void noneLeft() throws IOException {
    same(ask("watchers"), "0");
  }

  /** A channel whose calls are not repeated. */
  static ManagedChannel channel(String address) {
    return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
  }

  static GetJobRequest request(String job) {
    return GetJobRequest.newBuilder().setProjectId("p").setJobId(job).build();
  }

  static WatchJobRequest watchRequest(String job, String token) {
    return WatchJobRequest.newBuilder().setProjectId("p").setJobId(job).setResumeToken(token).build();
  }

  /** A method that the contract does not have. */
  static MethodDescriptor<Empty, Job> method(String service, String method) {
    var nothing = ProtoUtils.marshaller(Empty.getDefaultInstance());
    return MethodDescriptor.newBuilder(nothing, ProtoUtils.marshaller(Job.getDefaultInstance()))
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(service, method))
        .build();
  }

  static Metadata.Key<String> text(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** All kinds of metadata, with the token in another place than the snippets have it. */
  static Metadata oddMetadata() {
    var sent = new Metadata();
    sent.put(Metadata.Key.of("x-odd-bin", Metadata.BINARY_BYTE_MARSHALLER), new byte[] {0, (byte) 0xff, (byte) 0xab});
    var texts = Map.of(
        "authorization", "Bearer " + TOKEN, "x-request-id", "interop", "x-long", "l".repeat(4000));
    texts.forEach((name, value) -> sent.put(text(name), value));
    return sent;
  }
}
