// DOCS> C++, by grpc++: `apt-get install g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc`; generate code of `google/rpc/status.proto` and `error_details.proto` as well, from [googleapis](https://github.com/googleapis/googleapis)
// How to call jobgate with grpc++. Copy what you need.

#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "jobgate/v1/jobs.grpc.pb.h"

namespace snippet {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

inline bool may_pass(const grpc::Status& status);
inline milliseconds pause(const grpc::Status& status, int failures);

// The library itself repeats what may pass, and waits as long as the gateway says.
constexpr char SERVICE_CONFIG[] = R"({
  "methodConfig": [{
    "name": [{"service": "jobgate.v1.JobService"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.2s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
})";

// A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long.
constexpr int MAX_FAILURES = 20;

// JobService over a channel. Make one and keep it: a channel connects again by itself.
class Client {
 public:
  explicit Client(const std::shared_ptr<grpc::Channel>& channel, std::string token = "")
      : stub_(jobgate::v1::JobService::NewStub(channel)), token_(std::move(token)) {}

  // The job as it is now.
  grpc::Status get(const std::string& project, const std::string& job, jobgate::v1::Job* found,
                   milliseconds timeout = 10s) const {
    jobgate::v1::GetJobRequest request;
    request.set_project_id(project);
    request.set_job_id(job);
    grpc::ClientContext context;
    prepare(&context);
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    return stub_->GetJob(&context, request, found);
  }

  // Hands over all that happens to the job, to its end, or until the taker says false. A watch that
  // breaks is taken up again. A response has a job or, while nothing changes, a heartbeat.
  grpc::Status watch(const std::string& project, const std::string& job,
                     const std::function<bool(const jobgate::v1::WatchJobResponse&)>& taker) const {
    jobgate::v1::WatchJobRequest request;
    request.set_project_id(project);
    request.set_job_id(job);
    for (int failures = 0;;) {
      grpc::ClientContext context;
      prepare(&context);
      auto reader = stub_->WatchJob(&context, request);
      jobgate::v1::WatchJobResponse response;
      while (reader->Read(&response)) {
        request.set_resume_token(response.resume_token());
        failures = 0;
        if (!taker(response)) {
          context.TryCancel();
          reader->Finish();
          return grpc::Status::OK;
        }
      }
      const grpc::Status status = reader->Finish(); // OK: the job has ended.
      if (!may_pass(status) || ++failures == MAX_FAILURES) return status;
      std::this_thread::sleep_for(pause(status, failures));
    }
  }

  // Sends the token with a call.
  void prepare(grpc::ClientContext* context) const {
    if (!token_.empty()) context->AddMetadata("x-auth-token", token_);
  }

  jobgate::v1::JobService::Stub& stub() const { return *stub_; }

 private:
  std::unique_ptr<jobgate::v1::JobService::Stub> stub_;
  std::string token_;
};

inline std::shared_ptr<grpc::Channel> channel(const std::string& address,
                                              const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                              const char* config = SERVICE_CONFIG) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(config);
  // How long the gateway may be silent before it is asked whether it is there, and may then take: a
  // net that has forgotten a connection tells nobody.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // As often as it takes.
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// A client without TLS: on the same machine, or within a mesh.
inline Client plaintext(const std::string& address, const std::string& token) {
  return Client(channel(address, grpc::InsecureChannelCredentials()), token);
}

// The token as call credentials, which the library sends with TLS only.
class Token : public grpc::MetadataCredentialsPlugin {
 public:
  explicit Token(std::string token) : token_(std::move(token)) {}

  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    metadata->emplace("x-auth-token", token_);
    return grpc::Status::OK;
  }

 private:
  std::string token_;
};

// A client with TLS. `ca`: PEM, for a private authority.
inline Client tls(const std::string& address, const std::string& token, const std::string& ca = "") {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca;
  auto call = grpc::MetadataCredentialsFromPlugin(std::make_unique<Token>(token));
  return Client(channel(address, grpc::CompositeChannelCredentials(grpc::SslCredentials(options), call)));
}

// What an error says besides code and text, such as google::rpc::ErrorInfo.
template <typename Detail>
std::optional<Detail> detail(const grpc::Status& status) {
  google::rpc::Status all;
  if (!all.ParseFromString(status.error_details())) return {};
  for (const auto& packed : all.details()) {
    Detail found;
    if (packed.UnpackTo(&found)) return found;
  }
  return {};
}

// Why a call failed, such as JOB_NOT_FOUND; empty if the gateway did not say so itself.
inline std::string reason(const grpc::Status& status) {
  const auto info = detail<google::rpc::ErrorInfo>(status);
  return info && info->domain() == "jobgate" ? info->reason() : "";
}

// The time to wait before another try, if the gateway said so.
inline std::optional<milliseconds> retry_delay(const grpc::Status& status) {
  const auto info = detail<google::rpc::RetryInfo>(status);
  if (!info) return {};
  return std::chrono::seconds(info->retry_delay().seconds()) + milliseconds(info->retry_delay().nanos() / 1'000'000);
}

// Whether another try may do better.
inline bool may_pass(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) return retry_delay(status).has_value();
  return status.error_code() == grpc::StatusCode::UNAVAILABLE;
}

// The time to wait: as the gateway says, a minute at most; else longer with each failure.
inline milliseconds pause(const grpc::Status& status, int failures) {
  if (const auto told = retry_delay(status)) return std::min<milliseconds>(*told, 1min);
  const auto wait = std::min<milliseconds>((1 << failures) * 125ms, 10s).count();
  std::mt19937 random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<>(wait / 2, wait)(random));
}

}  // namespace snippet
