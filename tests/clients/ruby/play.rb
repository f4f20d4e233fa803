# Plays the scenarios with Ruby's grpc; see ../interop/scenarios.md.

require "grpc/health/v1/health_services_pb"
require "grpc/reflection/v1/reflection_services_pb"

require "snippet"

ADDRESS, AGING, SECURE, TOKEN, CA, TABLES =
  %w[ADDRESS AGING_ADDRESS TLS_ADDRESS TOKEN CA TABLES].map { |name| ENV["JOBGATE_#{name}"] }
EXAMPLE = "4010b39b5281d3590152874bfa3b1604"
V1 = Jobgate::V1

def table(name) = File.read(File.join(TABLES, name), encoding: "UTF-8").chomp.split("\n", -1)

# Asks the runner something.
def ask(line)
  puts line
  $stdin.gets.chomp
end

# No watch is left at the gateway. Asked while the channel lives.
def none_left = same(ask("watchers"), "0")

# Whether two seconds have passed within the block, however clocks are read.
def patient
  begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  yield
  raise "did not wait" if Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun < 1.9
end

# A watch that goes on after what the runner is asked to do.
def taken_up(client, line)
  first = begun = nil
  client.watch("p", "endless") do |response|
    if first
      same([response.event, response.resume_token], [:heartbeat, first])
      break if response.observe_time.to_time > begun
    else
      same(response.event, :job)
      first = response.resume_token
      ask(line)
      begun = Time.now
    end
  end
end

# The stack can't do this, whoever uses it.
class Unsupported < StandardError; end

def same(found, expected, what = "")
  raise "#{what} #{found.inspect} is not #{expected.inspect}" unless found == expected
end

# A client that repeats nothing.
def plain(token = TOKEN, address = ADDRESS) = Jobgate.plaintext(address, token, {})

# An operation, to be executed and cancelled.
def watch_once(client, job, token = "", **more)
  request = V1::WatchJobRequest.new(project_id: "p", job_id: job, resume_token: token)
  client.stub.watch_job(request, metadata: client.metadata, return_op: true, **more)
end

# The error that the call ends with.
def fails(code)
  yield
rescue GRPC::BadStatus => error
  same(error.code, GRPC::Core::StatusCodes.const_get(code))
  error
else
  raise "no error"
end

def check_example(job)
  same(job.job_id, EXAMPLE)
  same(job.job_type, "bksCreateBackup")
  same(job.status, :JOB_STATUS_SUCCESS)
  same(job.status_text, "SUCCESS")
  same(job.entities.to_h, {
    "bks_create_volume_name" => "autobk_volume",
    "backup_id" => "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
    "volume_id" => "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
    "snapshot_id" => "a77a96bf-dd18-40bf-a446-fdcefc1719ec",
  })
  same([job.begin_time, job.end_time].map { |time| time.to_time.utc.strftime("%FT%T.%9NZ") },
    ["2016-01-28T16:14:09.466000000Z", "2016-01-28T16:25:27.690000000Z"])
  same([job.has_error_code?, job.has_fail_reason?, job.sub_jobs.to_a], [false, false, []])
end

def check_large(job)
  length = Integer(job.entities["length"])
  raise "only #{length}" unless length > 4_000_000
  raise "another text" unless job.entities["text"] == "x" * length
end

def check_error(error, line)
  job, _, reason, http, others = line.split(" ")
  found = Jobgate.details(error)
  info = found.delete("ErrorInfo")
  same([info.domain, info.reason, info.metadata["upstream_http_status"] || "-", found.keys.sort.join(",")],
    ["jobgate", reason, http, others], job)
  same(found["BadRequest"].field_violations[0].field, "job_id") if found["BadRequest"]
  same(found["ResourceInfo"].resource_name, "projects/p/jobs/#{job}") if found["ResourceInfo"]
  raise "no request id" if found["RequestInfo"]&.request_id == ""
  raise "too short a wait" if found["RetryInfo"] && Jobgate.retry_delay(error) <= 5
end

def unknown(method)
  nothing = proc { "" }
  stub = GRPC::ClientStub.new(ADDRESS, :this_channel_is_insecure)
  fails(:UNIMPLEMENTED) do
    stub.request_response(method, "", nothing, nothing, metadata: { "x-auth-token" => TOKEN })
  end
end

SCENARIOS = {
  example_job: ->(client) { check_example(client.get("p", EXAMPLE)) },

  entity_shapes: lambda do |client|
    expected = table("entities.txt").to_h { |line| line.split(/ /, 2) }
    same(client.get("p", "entities").entities.to_h, expected)
  end,

  field_presence: lambda do |client|
    questions = %i[has_begin_time? has_end_time? has_error_code? has_fail_reason?]
    found = %w[absent blank nested].map do |job|
      answer = client.get("p", job)
      questions.map { |question| !!answer.public_send(question) } # protobuf 3.21 says 0 for true.
    end
    same(found, [[false] * 4, [false] * 4, [true] * 4])
  end,

  sub_jobs: lambda do |client|
    job = client.get("p", "nested")
    same([job.status, job.error_code, job.fail_reason], [:JOB_STATUS_FAIL, "VolumeBackup.0064", "no room"])
    same(job.sub_jobs.map { |sub| [sub.job_id, sub.status] },
      [["first", :JOB_STATUS_SUCCESS], ["second", :JOB_STATUS_FAIL]])
    same(job.sub_jobs[1].sub_jobs.map { |sub| [sub.job_id, sub.status, sub.status_text] },
      [["third", :JOB_STATUS_UNSPECIFIED, "PENDING_PAYMENT"]])
  end,

  large_job: ->(client) { check_large(client.get("p", "large")) },

  error_codes: lambda do |_|
    table("errors.txt").each do |line|
      job, code = line.split(" ")
      check_error(fails(code) { plain("#{TOKEN}-get-#{job}").get("p", job) }, line)
      watch = watch_once(plain("#{TOKEN}-watch-#{job}"), job)
      check_error(fails(code) { watch.execute.to_a }, line)
    end
  end,

  credentials_missing: lambda do |_|
    client = Jobgate::Client.new(ADDRESS, :this_channel_is_insecure)
    error = fails(:UNAUTHENTICATED) { client.get("p", EXAMPLE) }
    same(Jobgate.reason(error), "CREDENTIALS_MISSING")
  end,

  call_credentials: lambda do |_|
    check_example(Jobgate.tls(SECURE, TOKEN, File.read(CA)).get("p", EXAMPLE))
  end,

  special_message: lambda do |client|
    error = fails(:ABORTED) { client.get("p", "message") }
    text = error.details.dup.force_encoding("UTF-8")
    raise text unless text.include?(table("message.txt")[0])
  end,

  pushback: lambda do |_|
    # The policy's own waits are short, so that a long one was the server's wish.
    policy = Jobgate::SERVICE_CONFIG[:methodConfig][0]
    hasty = policy[:retryPolicy].merge(initialBackoff: "0.05s", maxBackoff: "0.1s")
    config = { methodConfig: [policy.merge(retryPolicy: hasty)] }
    patient { Jobgate.plaintext(ADDRESS, "#{TOKEN}-pushback", config).get("p", "pushback") }
  end,

  deadline: lambda do |client|
    fails(:DEADLINE_EXCEEDED) { client.get("p", "slow", timeout: 0.3) }
    responses = []
    watch = watch_once(client, "endless", deadline: Time.now + 2)
    fails(:DEADLINE_EXCEEDED) { watch.execute.each { |response| responses << response } }
    same(responses[0].job.status_text, "RUNNING")
    none_left
  end,

  cancel_after_begin: lambda do |client|
    watch = watch_once(client, "slow")
    responses = watch.execute
    Thread.new { sleep 0.1 and watch.cancel }
    fails(:CANCELLED) { responses.to_a }
    none_left
  rescue GRPC::Core::CallError
    raise Unsupported, "Ruby's grpc 1.51 says CallError, not CANCELLED, of a call that is cancelled before its headers"
  end,

  cancel_after_first_response: lambda do |client|
    watch = watch_once(client, "endless")
    first = nil
    fails(:CANCELLED) do
      watch.execute.each do |response|
        first ||= response
        watch.cancel
      end
    end
    same(first.job.status_text, "RUNNING")
    none_left
  end,

  watch_to_end: lambda do |client|
    responses = client.watch("p", ask("backup")).to_a
    states = responses.filter_map { |response| response.job&.status_text }
    same(states.last, "SUCCESS")
    same(states, %w[INIT RUNNING SUCCESS] & states)
    times = responses.map { |response| response.observe_time.to_time }
    same(times, times.sort)
    raise "no resume token" if responses.any? { |response| response.resume_token.empty? }
    none_left
  end,

  watch_resume: lambda do |client|
    taken_up(client, "restart")
    last, = client.watch("p", EXAMPLE).to_a
    same(watch_once(client, EXAMPLE, last.resume_token).execute.to_a, [])
    none_left
  end,

  watch_resume_killed: ->(client) { taken_up(client, "kill") },

  watch_silent: ->(_) { taken_up(Jobgate.plaintext(ENV["JOBGATE_RELAY_ADDRESS"], TOKEN), "silence") },

  watch_pushback: lambda do |_|
    patient do
      first = plain("#{TOKEN}-watch-pushback").watch("p", "pushback").first
      same(first.job.status_text, "RUNNING")
    end
    # What a block raises is its own, and ends the watch, even if it looks like the watch's.
    own = GRPC::Unavailable.new("the block's")
    seen = 0
    found = begin
      plain.watch("p", EXAMPLE) { seen += 1 and raise own }
    rescue GRPC::Unavailable => error
      error
    end
    same([found.equal?(own), seen], [true, 1])
  end,

  gzip: lambda do |_|
    arguments = GRPC::Core::CompressionOptions.new(default_algorithm: :gzip).to_channel_arg_hash
    stub = V1::JobService::Stub.new(ADDRESS, :this_channel_is_insecure, channel_args: arguments)
    jobs = ["z" * 128, "large"].map do |job|
      stub.get_job(V1::GetJobRequest.new(project_id: "p", job_id: job), metadata: { "x-auth-token" => TOKEN })
    end
    same(jobs[0].status_text, "RUNNING")
    check_large(jobs[1])
  end,

  unimplemented_method: lambda do |_|
    error = unknown("/jobgate.v1.JobService/NoSuchMethod")
    same(Jobgate.reason(error), "METHOD_NOT_IMPLEMENTED")
  end,

  unimplemented_service: ->(_) { unknown("/jobgate.v1.NoSuchService/GetJob") },

  metadata: lambda do |client|
    call = client.stub.get_job(
      V1::GetJobRequest.new(project_id: "p", job_id: EXAMPLE),
      return_op: true,
      metadata: {
        "authorization" => "Bearer #{TOKEN}",
        "x-request-id" => "interop",
        "x-long" => "l" * 4000,
        "x-odd-bin" => "\x00\xff\xab".b,
      },
    )
    check_example(call.execute)
    same(call.metadata["x-request-id"], "interop")
  end,

  goaway: lambda do |_|
    client = plain(TOKEN, AGING)
    ends = Time.now + 3
    check_example(client.get("p", EXAMPLE)) while Time.now < ends
  end,

  soak: lambda do |_|
    client = plain
    workers = Array.new(10) do
      Thread.new { 100.times { check_example(client.get("p", EXAMPLE)) } }
    end
    workers.each(&:join)
  end,

  health: lambda do |_|
    stub = Grpc::Health::V1::Health::Stub.new(ADDRESS, :this_channel_is_insecure)
    ours = Grpc::Health::V1::HealthCheckRequest.new(service: "jobgate.v1.JobService")
    same(stub.check(ours).status, :SERVING)
    watch = stub.watch(ours, return_op: true)
    same(watch.execute.first.status, :SERVING)
    watch.cancel
    other = Grpc::Health::V1::HealthCheckRequest.new(service: "no.such")
    fails(:NOT_FOUND) { stub.check(other) }
  end,

  reflection: lambda do |_|
    stub = Grpc::Reflection::V1::ServerReflection::Stub.new(ADDRESS, :this_channel_is_insecure)
    request = Grpc::Reflection::V1::ServerReflectionRequest.new(list_services: "")
    answers = stub.server_reflection_info([request]).to_a
    names = answers[0].list_services_response.service.map(&:name)
    raise names.inspect unless names.include?("jobgate.v1.JobService")
  end,
}.freeze

$stdout.sync = true
if ARGV == ["version"]
  puts "#{GRPC::VERSION} on Ruby #{RUBY_VERSION}"
  exit
end
client = Jobgate.plaintext(ADDRESS, TOKEN)
ARGV.each do |name|
  SCENARIOS.fetch(name.to_sym).call(client)
  puts "ok #{name}"
rescue Unsupported => error
  puts "unsupported #{name}: #{error.message}"
rescue StandardError, GRPC::Core::CallError => error # The second is none of the first.
  puts "failed #{name}: #{"#{error.class}: #{error.message}".split.join(" ")}"
end
