# DOCS> Ruby, by grpc: `gem install grpc grpc-tools`
# How to call jobgate with Ruby's grpc. Copy what you need.

require "json"

require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "grpc"
require "grpc/google_rpc_status_utils"
require "jobgate/v1/jobs_services_pb"

module Jobgate
  # The library itself repeats what may pass, and waits as long as the gateway says.
  SERVICE_CONFIG = {
    methodConfig: [{
      name: [{ service: "jobgate.v1.JobService" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.2s",
        maxBackoff: "5s",
        backoffMultiplier: 2,
        retryableStatusCodes: %w[UNAVAILABLE RESOURCE_EXHAUSTED],
      },
    }],
  }.freeze

  # How long the gateway may be silent before it is asked whether it is there, and may then take: a net that has
  # forgotten a connection tells nobody.
  KEEPALIVE = {
    "grpc.keepalive_time_ms" => 30_000,
    "grpc.keepalive_timeout_ms" => 10_000,
    "grpc.http2.max_pings_without_data" => 0, # As often as it takes.
  }.freeze

  # What errors say, by the whole name of the type.
  DETAILS = [
    Google::Rpc::ErrorInfo, Google::Rpc::RetryInfo, Google::Rpc::RequestInfo, Google::Rpc::ResourceInfo,
    Google::Rpc::BadRequest,
  ].to_h { |type| [type.descriptor.name, type] }.freeze

  # A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long.
  MAX_FAILURES = 20

  # JobService over a channel. Make one and keep it: a channel connects again by itself.
  class Client
    attr_reader :stub, :metadata

    def initialize(address, credentials, metadata = {}, config = SERVICE_CONFIG)
      arguments = { "grpc.service_config" => JSON.generate(config), **KEEPALIVE }
      @stub = V1::JobService::Stub.new(address, credentials, channel_args: arguments)
      @metadata = metadata
    end

    # The job as it is now.
    def get(project, job, timeout: 10)
      request = V1::GetJobRequest.new(project_id: project, job_id: job)
      @stub.get_job(request, metadata: @metadata, deadline: Time.now + timeout)
    end

    # All that happens to the job, to its end. A watch that breaks is taken up again; what the block
    # raises ends it. Without a block it is an enumerator, to be read by `each`, `first` or the like: by
    # `next` it stays open.
    def watch(project, job)
      return enum_for(:watch, project, job) unless block_given?

      request = V1::WatchJobRequest.new(project_id: project, job_id: job)
      failures = 0
      raised = nil
      begin
        call = @stub.watch_job(request, metadata: @metadata, return_op: true)
        call.execute.each do |response|
          request.resume_token = response.resume_token
          failures = 0
          begin
            yield response # response.job, else response.heartbeat
          rescue StandardError => raised
            raise
          end
        end
      rescue GRPC::Unavailable, GRPC::ResourceExhausted => error
        failures += 1
        raise if error.equal?(raised) || !Jobgate.may_pass?(error) || failures == MAX_FAILURES

        sleep(Jobgate.pause(error, failures))
        retry
      ensure
        call&.cancel
      end
    end
  end

  # A client without TLS: on the same machine, or within a mesh.
  def self.plaintext(address, token, config = SERVICE_CONFIG)
    Client.new(address, :this_channel_is_insecure, { "x-auth-token" => token }, config)
  end

  # A client with TLS, which sends the token as call credentials. `ca`: PEM, for a private one.
  def self.tls(address, token, ca = nil, config = SERVICE_CONFIG)
    token_of_call = GRPC::Core::CallCredentials.new(proc { { "x-auth-token" => token } })
    credentials = GRPC::Core::ChannelCredentials.new(ca).compose(token_of_call)
    Client.new(address, credentials, {}, config)
  end

  # What an error says besides code and text, by the name of the type: ErrorInfo, RetryInfo...
  def self.details(error)
    status = GRPC::GoogleRpcStatusUtils.extract_google_rpc_status(error.to_status)
    (status&.details || []).filter_map do |packed|
      type = DETAILS[packed.type_name]
      [packed.type_name.split(".").last, packed.unpack(type)] if type
    end.to_h
  rescue Google::Protobuf::ParseError
    {} # A proxy has changed the error.
  end

  # Why a call failed, such as "JOB_NOT_FOUND"; nil if the gateway did not say so itself.
  def self.reason(error)
    info = details(error)["ErrorInfo"]
    info.reason if info&.domain == "jobgate"
  end

  # The seconds to wait before another try, if the gateway said so.
  def self.retry_delay(error)
    delay = details(error)["RetryInfo"]&.retry_delay
    delay && delay.seconds + delay.nanos / 1e9
  end

  # Whether another try may do better.
  def self.may_pass?(error)
    error.is_a?(GRPC::Unavailable) || !retry_delay(error).nil?
  end

  # The seconds to wait: as the gateway says, a minute at most; else longer with each failure.
  def self.pause(error, failures)
    wait = [2**failures / 8.0, 10.0].min
    [retry_delay(error) || rand(wait / 2..wait), 60].min
  end
end
