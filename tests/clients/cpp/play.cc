// Plays the scenarios with grpc++; see ../interop/scenarios.md.

#include <future>
#include <iostream>
#include <regex>

#include <grpcpp/generic/generic_stub.h>

#include "checks.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "snippet.h"

namespace {

using checks::EXAMPLE;
using checks::fails;
using checks::must;
using checks::same;
using jobgate::v1::Job;
using jobgate::v1::WatchJobResponse;
using snippet::Client;
using namespace std::chrono_literals;

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

const std::string ADDRESS = setting("JOBGATE_ADDRESS");
const std::string TOKEN = setting("JOBGATE_TOKEN");

// What the pauses of two seconds are at least, however clocks are read.
constexpr auto PAUSE = 1900ms;

// Asks the runner something.
std::string ask(const std::string& line) {
  std::cout << line << std::endl;
  std::string answer;
  std::getline(std::cin, answer);
  return answer;
}

// No watch is left at the gateway. Asked while the channel lives.
void none_left() { same(ask("watchers"), "0"); }

std::shared_ptr<grpc::Channel> channel(const std::string& address = ADDRESS) {
  return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
}

// The snippet's client, and one that repeats nothing.
Client usual() { return snippet::plaintext(ADDRESS, TOKEN); }
Client plain(const std::string& token = TOKEN) { return Client(channel(), token); }

Job get(const Client& client, const std::string& job) {
  Job found;
  must(client.get("p", job, &found));
  return found;
}

jobgate::v1::GetJobRequest request(const std::string& job) {
  jobgate::v1::GetJobRequest request;
  request.set_project_id("p");
  request.set_job_id(job);
  return request;
}

// A watch that is not taken up again; `taker` may cancel it.
grpc::Status watch_once(const Client& client, const std::string& job,
                        const std::function<void(const WatchJobResponse&, grpc::ClientContext&)>& taker,
                        std::chrono::milliseconds timeout = 60s, const std::string& token = "") {
  jobgate::v1::WatchJobRequest request;
  request.set_project_id("p");
  request.set_job_id(job);
  request.set_resume_token(token);
  grpc::ClientContext context;
  client.prepare(&context);
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  auto reader = client.stub().WatchJob(&context, request);
  for (WatchJobResponse response; reader->Read(&response);) taker(response, context);
  return reader->Finish();
}

void nothing(const WatchJobResponse&, grpc::ClientContext&) {}

grpc::Status unknown(const std::string& method) {
  grpc::GenericStub stub(channel());
  grpc::ClientContext context;
  context.AddMetadata("x-auth-token", TOKEN);
  const grpc::Slice empty("");
  grpc::ByteBuffer request(&empty, 1), response;
  std::promise<grpc::Status> end;
  stub.UnaryCall(&context, method, {}, &request, &response,
                 [&end](grpc::Status status) { end.set_value(std::move(status)); });
  return end.get_future().get();
}

void error_codes() {
  for (const auto& line : checks::table("errors.txt")) {
    const auto job = line.substr(0, line.find(' '));
    Job found;
    checks::error(plain(TOKEN + "-get-" + job).get("p", job, &found), line);
    checks::error(watch_once(plain(TOKEN + "-watch-" + job), job, nothing), line);
  }
}

void pushback() {
  // The policy's own waits are short, so that a long one was the server's wish.
  auto config = std::regex_replace(snippet::SERVICE_CONFIG, std::regex("0\\.2s"), "0.05s");
  config = std::regex_replace(config, std::regex("\"5s"), "\"0.1s");
  const Client client(snippet::channel(ADDRESS, grpc::InsecureChannelCredentials(), config.c_str()),
                      TOKEN + "-pushback");
  const auto begun = std::chrono::steady_clock::now();
  same(get(client, "pushback").status_text(), "RUNNING");
  same(std::chrono::steady_clock::now() - begun > PAUSE, true);
}

void watch_pushback() {
  const auto begun = std::chrono::steady_clock::now();
  std::string first;
  must(plain(TOKEN + "-watch-pushback").watch("p", "pushback", [&first](const WatchJobResponse& response) {
    first = response.job().status_text();
    return false;
  }));
  same(first, "RUNNING");
  same(std::chrono::steady_clock::now() - begun > PAUSE, true);
}

void deadline() {
  Job found;
  fails(usual().get("p", "slow", &found, 300ms), "DEADLINE_EXCEEDED");
  std::string first;
  const auto taker = [&first](const WatchJobResponse& response, grpc::ClientContext&) {
    if (first.empty()) first = response.job().status_text();
  };
  const auto client = usual();
  fails(watch_once(client, "endless", taker, 2s), "DEADLINE_EXCEEDED");
  same(first, "RUNNING");
  none_left();
}

void cancel_after_begin() {
  jobgate::v1::WatchJobRequest request;
  request.set_project_id("p");
  request.set_job_id("slow");
  grpc::ClientContext context;
  const auto client = usual();
  client.prepare(&context);
  const auto reader = client.stub().WatchJob(&context, request);
  context.TryCancel();
  WatchJobResponse response;
  same(reader->Read(&response), false);
  fails(reader->Finish(), "CANCELLED");
  none_left();
}

void cancel_after_first_response() {
  std::string first;
  const auto taker = [&first](const WatchJobResponse& response, grpc::ClientContext& context) {
    if (first.empty()) first = response.job().status_text();
    context.TryCancel();
  };
  const auto client = usual();
  fails(watch_once(client, "endless", taker), "CANCELLED");
  same(first, "RUNNING");
  none_left();
}

void watch_to_end() {
  std::vector<WatchJobResponse> responses;
  const auto client = usual();
  must(client.watch("p", ask("backup"), [&responses](const WatchJobResponse& response) {
    responses.push_back(response);
    return true;
  }));
  checks::history(responses);
  none_left();
}

// A watch that goes on after what the runner is asked to do.
void taken_up(const Client& client, const std::string& line, const std::string& answer) {
  std::string first;
  std::chrono::system_clock::time_point begun;
  must(client.watch("p", "endless", [&](const WatchJobResponse& response) {
    if (first.empty()) {
      same(response.job().status_text(), "RUNNING");
      first = response.resume_token();
      same(ask(line), answer);
      begun = std::chrono::system_clock::now();
      return true;
    }
    same(response.has_heartbeat(), true);
    same(response.resume_token(), first);
    const auto& observed = response.observe_time();
    const auto since = std::chrono::seconds(observed.seconds()) + std::chrono::nanoseconds(observed.nanos());
    return since < begun.time_since_epoch();
  }));
}

void watch_resume() {
  const auto client = usual();
  taken_up(client, "restart", "restarted");
  std::string token;
  must(client.watch("p", EXAMPLE, [&token](const WatchJobResponse& response) {
    token = response.resume_token();
    return true;
  }));
  const auto taker = [](const WatchJobResponse&, grpc::ClientContext&) { throw std::runtime_error("a response"); };
  must(watch_once(client, EXAMPLE, taker, 10s, token));
  none_left();
}

void gzip() {
  const auto client = plain();
  Job found;
  for (const std::string& job : {std::string(128, 'z'), std::string("large")}) {
    grpc::ClientContext context;
    client.prepare(&context);
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    must(client.stub().GetJob(&context, request(job), &found));
    same(found.status_text(), "RUNNING");
  }
  checks::large(found);
}

void metadata() {
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + TOKEN);
  context.AddMetadata("x-request-id", "interop");
  context.AddMetadata("x-long", std::string(4000, 'l'));
  context.AddMetadata("x-odd-bin", std::string("\x00\xff\xab", 3));
  Job found;
  must(plain().stub().GetJob(&context, request(EXAMPLE), &found));
  checks::example(found);
  const auto& headers = context.GetServerInitialMetadata();
  const auto id = headers.find("x-request-id");
  same(id == headers.end() ? "none" : std::string(id->second.data(), id->second.size()), "interop");
}

void goaway() {
  const Client client(channel(setting("JOBGATE_AGING_ADDRESS")), TOKEN);
  for (const auto end = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < end;) {
    checks::example(get(client, EXAMPLE));
  }
}

void soak() {
  const auto client = plain();
  std::vector<std::future<void>> workers;
  for (int worker = 0; worker < 10; ++worker) {
    workers.push_back(std::async(std::launch::async, [&client] {
      for (int call = 0; call < 100; ++call) checks::example(get(client, EXAMPLE));
    }));
  }
  for (auto& worker : workers) worker.get();
}

void health() {
  const auto stub = grpc::health::v1::Health::NewStub(channel());
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("jobgate.v1.JobService");
  grpc::health::v1::HealthCheckResponse response;
  grpc::ClientContext check, watch, other;
  must(stub->Check(&check, request, &response));
  same(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  const auto reader = stub->Watch(&watch, request);
  same(reader->Read(&response), true);
  same(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  watch.TryCancel();
  fails(reader->Finish(), "CANCELLED");
  request.set_service("no.such");
  fails(stub->Check(&other, request, &response), "NOT_FOUND");
}

void reflection() {
  const auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel());
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_list_services("");
  same(stream->Write(request), true);
  grpc::reflection::v1::ServerReflectionResponse response;
  same(stream->Read(&response), true);
  std::set<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.insert(service.name());
  same(names.count("jobgate.v1.JobService"), 1U);
  stream->WritesDone();
  must(stream->Finish());
}

const std::map<std::string, std::function<void()>> SCENARIOS = {
    {"example_job", [] { checks::example(get(usual(), EXAMPLE)); }},
    {"entity_shapes", [] { checks::entities(get(usual(), "entities")); }},
    {"field_presence",
     [] {
       checks::presence(get(usual(), "absent"), false);
       checks::presence(get(usual(), "blank"), false);
       checks::presence(get(usual(), "nested"), true);
     }},
    {"sub_jobs", [] { checks::sub_jobs(get(usual(), "nested")); }},
    {"large_job", [] { checks::large(get(usual(), "large")); }},
    {"error_codes", error_codes},
    {"credentials_missing",
     [] {
       Job found;
       const auto status = plain("").get("p", EXAMPLE, &found);
       fails(status, "UNAUTHENTICATED");
       same(snippet::reason(status), "CREDENTIALS_MISSING");
     }},
    {"call_credentials",
     [] {
       std::ostringstream ca;
       ca << std::ifstream(setting("JOBGATE_CA")).rdbuf();
       checks::example(get(snippet::tls(setting("JOBGATE_TLS_ADDRESS"), TOKEN, ca.str()), EXAMPLE));
     }},
    {"special_message",
     [] {
       Job found;
       const auto status = usual().get("p", "message", &found);
       fails(status, "ABORTED");
       same(status.error_message().find(checks::table("message.txt").at(0)) != std::string::npos, true);
     }},
    {"pushback", pushback},
    {"deadline", deadline},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"watch_to_end", watch_to_end},
    {"watch_resume", watch_resume},
    {"watch_resume_killed", [] { taken_up(usual(), "kill", "killed"); }},
    {"watch_silent",
     [] { taken_up(snippet::plaintext(setting("JOBGATE_RELAY_ADDRESS"), TOKEN), "silence", "silent"); }},
    {"watch_pushback", watch_pushback},
    {"gzip", gzip},
    {"unimplemented_method",
     [] {
       const auto status = unknown("/jobgate.v1.JobService/NoSuchMethod");
       fails(status, "UNIMPLEMENTED");
       same(snippet::reason(status), "METHOD_NOT_IMPLEMENTED");
     }},
    {"unimplemented_service", [] { fails(unknown("/jobgate.v1.NoSuchService/GetJob"), "UNIMPLEMENTED"); }},
    {"metadata", metadata},
    {"goaway", goaway},
    {"soak", soak},
    {"health", health},
    {"reflection", reflection},
};

}  // namespace

int main(int count, char** names) {
  for (const std::string& name : std::vector<std::string>(names + 1, names + count)) {
    if (name == "version") {
      std::cout << grpc::Version() << " by g++ " << __VERSION__ << std::endl;
      continue;
    }
    try {
      SCENARIOS.at(name)();
      std::cout << "ok " << name << std::endl;
    } catch (const std::exception& problem) {
      const auto text = std::regex_replace(problem.what(), std::regex("\\s+"), " ");
      std::cout << "failed " << name << ": " << text << std::endl;
    }
  }
}
