// DOCS> Kotlin, by grpc-kotlin: `grpc-kotlin-stub`, `grpc-netty-shaded` and `grpc-protobuf` of `io.grpc`, `kotlinx-coroutines-core` of `org.jetbrains.kotlinx`, and `protoc-gen-grpc-java` and `protoc-gen-grpc-kotlin` for the code
// How to call jobgate with grpc-kotlin. Copy what you need.

package dev.jobgate.interop

import com.google.protobuf.Message
import com.google.rpc.ErrorInfo
import com.google.rpc.RetryInfo
import dev.jobgate.v1.GetJobRequest
import dev.jobgate.v1.Job
import dev.jobgate.v1.JobServiceGrpcKt.JobServiceCoroutineStub
import dev.jobgate.v1.WatchJobRequest
import dev.jobgate.v1.WatchJobResponse
import io.grpc.CallCredentials
import io.grpc.ChannelCredentials
import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import io.grpc.ManagedChannel
import io.grpc.Metadata
import io.grpc.Status
import io.grpc.TlsChannelCredentials
import io.grpc.protobuf.StatusProto
import java.io.Closeable
import java.io.File
import java.util.concurrent.Executor
import java.util.concurrent.TimeUnit
import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.nanoseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.retryWhen

/** The library itself repeats what may pass, and waits as long as the gateway says. */
val SERVICE_CONFIG = serviceConfig("0.2s", "5s")

fun serviceConfig(initialBackoff: String, maxBackoff: String): Map<String, *> {
  val policy = mapOf(
    "maxAttempts" to 4.0, // All numbers are doubles.
    "initialBackoff" to initialBackoff,
    "maxBackoff" to maxBackoff,
    "backoffMultiplier" to 2.0,
    "retryableStatusCodes" to listOf("UNAVAILABLE", "RESOURCE_EXHAUSTED"),
  )
  val name = mapOf("service" to "jobgate.v1.JobService")
  return mapOf("methodConfig" to listOf(mapOf("name" to listOf(name), "retryPolicy" to policy)))
}

/** A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long. */
const val MAX_FAILURES = 20

/** JobService over a channel. Make one and keep it: a channel connects again by itself. */
class Client(private val channel: ManagedChannel, token: String) : Closeable {
  val stub = JobServiceCoroutineStub(channel).withCallCredentials(Token(token))

  /** The job as it is now. */
  suspend fun get(project: String, job: String): Job {
    val request = GetJobRequest.newBuilder().setProjectId(project).setJobId(job).build()
    return stub.withDeadlineAfter(10, TimeUnit.SECONDS).getJob(request)
  }

  /**
   * All that happens to the job, to its end. A watch that breaks is taken up again; what the
   * collector throws ends it. A response has a job or, while nothing changes, a heartbeat.
   */
  fun watch(project: String, job: String): Flow<WatchJobResponse> = flow {
    val request = WatchJobRequest.newBuilder().setProjectId(project).setJobId(job)
    var failures = 0
    val responses = flow { emitAll(stub.watchJob(request.build())) }
      .onEach {
        request.resumeToken = it.resumeToken
        failures = 0
      }
      .retryWhen { error, _ ->
        failures++
        val again = mayPass(error) && failures < MAX_FAILURES
        if (again) delay(pause(error, failures))
        again
      }
    emitAll(responses)
  }

  /** Ends the channel, and all calls on it. */
  override fun close() {
    channel.shutdownNow()
  }
}

/** Sends the token with each call. */
class Token(private val token: String) : CallCredentials() {
  override fun applyRequestMetadata(call: RequestInfo, executor: Executor, applier: MetadataApplier) {
    val metadata = Metadata()
    metadata.put(Metadata.Key.of("x-auth-token", Metadata.ASCII_STRING_MARSHALLER), token)
    applier.apply(metadata)
  }
}

fun channel(
  address: String,
  credentials: ChannelCredentials = InsecureChannelCredentials.create(),
  config: Map<String, *> = SERVICE_CONFIG,
): ManagedChannel = Grpc.newChannelBuilder(address, credentials)
  // How long the gateway may be silent before it is asked whether it is there, and may then take: a
  // net that has forgotten a connection tells nobody.
  .keepAliveTime(30, TimeUnit.SECONDS)
  .keepAliveTimeout(10, TimeUnit.SECONDS)
  .defaultServiceConfig(config)
  .build()

/** A client without TLS: on the same machine, or within a mesh. */
fun plaintext(address: String, token: String) = Client(channel(address), token)

/** A client with TLS. Authority: a PEM file, for a private one. */
fun tls(address: String, token: String, authority: File? = null): Client {
  val credentials = TlsChannelCredentials.newBuilder().apply { authority?.let { trustManager(it) } }.build()
  return Client(channel(address, credentials), token)
}

/** What an error says besides code and text, such as ErrorInfo. */
inline fun <reified T : Message> detail(error: Throwable): T? =
  StatusProto.fromThrowable(error)?.detailsList?.find { it.`is`(T::class.java) }?.unpack(T::class.java)

/** Why a call failed, such as JOB_NOT_FOUND, if the gateway said so itself. */
fun reason(error: Throwable): String? = detail<ErrorInfo>(error)?.takeIf { it.domain == "jobgate" }?.reason

/** The time to wait before another try, if the gateway said so. */
fun retryDelay(error: Throwable): Duration? =
  detail<RetryInfo>(error)?.retryDelay?.let { it.seconds.seconds + it.nanos.nanoseconds }

/** Whether another try may do better. */
fun mayPass(error: Throwable): Boolean = when (Status.fromThrowable(error).code) {
  Status.Code.UNAVAILABLE -> true
  Status.Code.RESOURCE_EXHAUSTED -> retryDelay(error) != null
  else -> false
}

/** The time to wait: as the gateway says, a minute at most; else longer with each failure. */
fun pause(error: Throwable, failures: Int): Duration {
  val wait = minOf(125L shl failures, 10_000)
  return minOf(retryDelay(error) ?: Random.nextLong(wait / 2, wait).milliseconds, 1.minutes)
}
