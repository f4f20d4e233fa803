// What answers must look like.

package dev.jobgate.interop;

import com.google.protobuf.Timestamp;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.ResourceInfo;
import dev.jobgate.v1.Job;
import dev.jobgate.v1.JobStatus;
import dev.jobgate.v1.WatchJobResponse;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

final class Checks {
  static final String EXAMPLE = "4010b39b5281d3590152874bfa3b1604";

  private Checks() {}

  static void same(Object found, Object expected) {
    if (!Objects.equals(found, expected)) {
      throw new AssertionError(found + " is not " + expected);
    }
  }

  static Instant time(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  static void example(Job job) {
    same(job.getJobId(), EXAMPLE);
    same(job.getJobType(), "bksCreateBackup");
    same(job.getStatus(), JobStatus.JOB_STATUS_SUCCESS);
    same(job.getStatusText(), "SUCCESS");
    same(job.getEntitiesMap(), Map.of(
        "bks_create_volume_name", "autobk_volume",
        "backup_id", "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
        "volume_id", "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
        "snapshot_id", "a77a96bf-dd18-40bf-a446-fdcefc1719ec"));
    same(time(job.getBeginTime()).toString(), "2016-01-28T16:14:09.466Z");
    same(time(job.getEndTime()).toString(), "2016-01-28T16:25:27.690Z");
    same(List.of(job.hasErrorCode(), job.hasFailReason(), job.getSubJobsCount()), List.of(false, false, 0));
  }

  static void entities(Job job, List<String> table) {
    var expected = new HashMap<String, String>();
    for (String line : table) {
      int blank = line.indexOf(' ');
      expected.put(line.substring(0, blank), line.substring(blank + 1));
    }
    same(job.getEntitiesMap(), expected);
  }

  static void presence(Job job, boolean set) {
    same(List.of(job.hasBeginTime(), job.hasEndTime()), List.of(set, set));
    same(List.of(job.hasErrorCode(), job.hasFailReason()), List.of(set, set));
  }

  static void subJobs(Job job) {
    same(job.getStatus(), JobStatus.JOB_STATUS_FAIL);
    same(List.of(job.getErrorCode(), job.getFailReason()), List.of("VolumeBackup.0064", "no room"));
    same(names(job), List.of("first JOB_STATUS_SUCCESS SUCCESS", "second JOB_STATUS_FAIL FAIL"));
    same(names(job.getSubJobs(0)), List.of());
    same(names(job.getSubJobs(1)), List.of("third JOB_STATUS_UNSPECIFIED PENDING_PAYMENT"));
  }

  private static List<String> names(Job job) {
    return job.getSubJobsList().stream()
        .map(sub -> sub.getJobId() + " " + sub.getStatus() + " " + sub.getStatusText())
        .toList();
  }

  static void large(Job job) {
    int length = Integer.parseInt(job.getEntitiesOrThrow("length"));
    same(length > 4_000_000, true);
    same(job.getEntitiesOrThrow("text").equals("x".repeat(length)), true);
  }

  /** The error is the one that a line of the table says. */
  static void error(Throwable error, String line) {
    String[] columns = line.split(" ");
    String job = columns[0];
    var info = Snippet.detail(error, ErrorInfo.class).orElseThrow();
    same(info.getDomain(), "jobgate");
    String names = StatusProto.fromThrowable(error).getDetailsList().stream()
        .map(packed -> packed.getTypeUrl().replaceFirst(".*\\.", ""))
        .filter(name -> !name.equals("ErrorInfo"))
        .sorted()
        .collect(Collectors.joining(","));
    String http = info.getMetadataOrDefault("upstream_http_status", "-");
    var code = Status.fromThrowable(error).getCode();
    same(String.join(" ", job, code.toString(), info.getReason(), http, names), line);

    Snippet.detail(error, BadRequest.class)
        .ifPresent(wrong -> same(wrong.getFieldViolations(0).getField(), "job_id"));
    Snippet.detail(error, ResourceInfo.class)
        .ifPresent(resource -> same(resource.getResourceName(), "projects/p/jobs/" + job));
    Snippet.detail(error, RequestInfo.class)
        .ifPresent(request -> same(request.getRequestId().isEmpty(), false));
    Snippet.retryDelay(error).ifPresent(delay -> same(delay > 5000, true));
  }

  static void history(List<WatchJobResponse> responses) {
    var states = new ArrayList<String>();
    var last = Instant.MIN;
    for (WatchJobResponse response : responses) {
      if (response.hasJob()) {
        states.add(response.getJob().getStatusText());
      }
      same(response.getResumeToken().isEmpty(), false);
      var time = time(response.getObserveTime());
      same(time.isBefore(last), false);
      last = time;
    }
    var expected = new ArrayList<>(List.of("INIT", "RUNNING", "SUCCESS"));
    expected.removeIf(state -> !state.equals("SUCCESS") && !states.contains(state));
    same(states, expected);
  }
}
