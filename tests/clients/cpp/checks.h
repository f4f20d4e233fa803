// What answers must look like.

#pragma once

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <google/protobuf/util/time_util.h>

#include "snippet.h"

namespace checks {

using google::protobuf::util::TimeUtil;
using jobgate::v1::Job;
using jobgate::v1::WatchJobResponse;

constexpr char EXAMPLE[] = "4010b39b5281d3590152874bfa3b1604";

// By number.
constexpr const char* CODES[] = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
};

template <typename Found, typename Expected>
void same(const Found& found, const Expected& expected) {
  if (found == expected) return;
  std::ostringstream text;
  text << found << " is not " << expected;
  throw std::runtime_error(text.str());
}

inline void must(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

inline void fails(const grpc::Status& status, const std::string& code) { same(CODES[status.error_code()], code); }

inline std::vector<std::string> table(const std::string& name) {
  std::ifstream file(std::string(std::getenv("JOBGATE_TABLES")) + "/" + name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

inline std::string entity(const Job& job, const std::string& name) {
  const auto found = job.entities().find(name);
  return found == job.entities().end() ? "no " + name : found->second;
}

inline void example(const Job& job) {
  same(job.job_id(), EXAMPLE);
  same(job.job_type(), "bksCreateBackup");
  same(job.status(), jobgate::v1::JOB_STATUS_SUCCESS);
  same(job.status_text(), "SUCCESS");
  same(job.entities_size(), 4);
  same(entity(job, "bks_create_volume_name"), "autobk_volume");
  same(entity(job, "backup_id"), "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d");
  same(entity(job, "volume_id"), "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc");
  same(entity(job, "snapshot_id"), "a77a96bf-dd18-40bf-a446-fdcefc1719ec");
  same(TimeUtil::ToString(job.begin_time()), "2016-01-28T16:14:09.466Z");
  same(TimeUtil::ToString(job.end_time()), "2016-01-28T16:25:27.690Z");
  same(job.has_error_code() || job.has_fail_reason() || job.sub_jobs_size() > 0, false);
}

inline void entities(const Job& job) {
  const auto lines = table("entities.txt");
  same(job.entities_size(), static_cast<int>(lines.size()));
  for (const auto& line : lines) {
    const auto blank = line.find(' ');
    same(entity(job, line.substr(0, blank)), line.substr(blank + 1));
  }
}

inline void presence(const Job& job, bool set) {
  for (bool found : {job.has_begin_time(), job.has_end_time(), job.has_error_code(), job.has_fail_reason()}) {
    same(found, set);
  }
}

inline std::string names(const Job& job) {
  std::string text;
  for (const auto& sub : job.sub_jobs()) {
    text += sub.job_id() + " " + jobgate::v1::JobStatus_Name(sub.status()) + " " + sub.status_text() + ";";
  }
  return text;
}

inline void sub_jobs(const Job& job) {
  same(job.status(), jobgate::v1::JOB_STATUS_FAIL);
  same(job.error_code() + " " + job.fail_reason(), "VolumeBackup.0064 no room");
  same(names(job), "first JOB_STATUS_SUCCESS SUCCESS;second JOB_STATUS_FAIL FAIL;");
  same(names(job.sub_jobs(0)), "");
  same(names(job.sub_jobs(1)), "third JOB_STATUS_UNSPECIFIED PENDING_PAYMENT;");
}

inline void large(const Job& job) {
  const auto length = std::stoul(entity(job, "length"));
  same(length > 4'000'000, true);
  same(entity(job, "text") == std::string(length, 'x'), true);
}

// The error is the one that a line of the table says.
inline void error(const grpc::Status& status, const std::string& line) {
  const auto job = line.substr(0, line.find(' '));
  google::rpc::Status all;
  same(all.ParseFromString(status.error_details()), true);
  std::set<std::string> types;
  for (const auto& packed : all.details()) {
    types.insert(packed.type_url().substr(packed.type_url().rfind('.') + 1));
  }
  same(types.erase("ErrorInfo"), 1U);
  std::string others;
  for (const auto& type : types) others += (others.empty() ? "" : ",") + type;
  const auto info = snippet::detail<google::rpc::ErrorInfo>(status).value();
  same(info.domain(), "jobgate");
  const auto http = info.metadata().find("upstream_http_status");
  same(job + " " + CODES[status.error_code()] + " " + info.reason() + " " +
           (http == info.metadata().end() ? "-" : http->second) + " " + others,
       line);

  if (const auto wrong = snippet::detail<google::rpc::BadRequest>(status)) {
    same(wrong->field_violations(0).field(), "job_id");
  }
  if (const auto resource = snippet::detail<google::rpc::ResourceInfo>(status)) {
    same(resource->resource_name(), "projects/p/jobs/" + job);
  }
  if (const auto request = snippet::detail<google::rpc::RequestInfo>(status)) {
    same(request->request_id().empty(), false);
  }
  if (const auto delay = snippet::retry_delay(status)) same(*delay > std::chrono::seconds(5), true);
}

inline void history(const std::vector<WatchJobResponse>& responses) {
  std::string states, expected;
  google::protobuf::Timestamp last;
  for (const auto& response : responses) {
    if (response.has_job()) states += response.job().status_text() + " ";
    same(response.resume_token().empty(), false);
    same(response.observe_time() < last, false);
    last = response.observe_time();
  }
  for (const std::string state : {"INIT ", "RUNNING "}) {
    if (states.find(state) != std::string::npos) expected += state;
  }
  same(states, expected + "SUCCESS ");
}

}  // namespace checks
