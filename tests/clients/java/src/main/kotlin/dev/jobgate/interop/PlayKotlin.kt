// Plays the scenarios with grpc-kotlin; see ../interop/scenarios.md.

package dev.jobgate.interop

import com.google.protobuf.Empty
import dev.jobgate.interop.Checks.EXAMPLE
import dev.jobgate.interop.Checks.same
import dev.jobgate.interop.Program.ADDRESS
import dev.jobgate.interop.Program.TOKEN
import dev.jobgate.interop.Program.ask
import dev.jobgate.interop.Program.noneLeft
import dev.jobgate.interop.Program.request
import dev.jobgate.interop.Program.table
import dev.jobgate.interop.Program.watchRequest
import dev.jobgate.v1.Job
import dev.jobgate.v1.JobServiceGrpcKt.JobServiceCoroutineStub
import dev.jobgate.v1.WatchJobResponse
import io.grpc.CallOptions
import io.grpc.Metadata
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.health.v1.HealthCheckRequest
import io.grpc.health.v1.HealthCheckResponse.ServingStatus
import io.grpc.health.v1.HealthGrpc
import io.grpc.internal.GrpcUtil
import io.grpc.kotlin.AbstractCoroutineStub
import io.grpc.kotlin.ClientCalls
import io.grpc.reflection.v1.ServerReflectionGrpc
import io.grpc.reflection.v1.ServerReflectionRequest
import io.grpc.stub.MetadataUtils
import java.io.File
import java.time.Instant
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flowOf
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

private const val CANCELLED = "grpc-kotlin cancels with the coroutine, and nobody is left to be told CANCELLED"

private fun setting(name: String) = System.getenv("JOBGATE_$name")

/** The snippet's client. */
private fun usual() = plaintext(ADDRESS, TOKEN)

/** A client whose calls are not repeated. */
private fun plain(token: String = TOKEN, address: String = ADDRESS) = Client(Program.channel(address), token)

private fun watchOnce(client: Client, job: String, token: String = ""): Flow<WatchJobResponse> =
  client.stub.watchJob(watchRequest(job, token))

/** The error that the call ends with. */
private suspend fun fails(code: String, call: suspend () -> Unit): StatusException {
  try {
    call()
  } catch (error: StatusException) {
    same(error.status.code.toString(), code)
    return error
  }
  throw AssertionError("no error")
}

/** How many nanoseconds it takes. */
private suspend fun lasts(call: suspend () -> Unit): Long {
  val begun = System.nanoTime()
  call()
  return System.nanoTime() - begun
}

private suspend fun unknown(service: String, method: String) = fails("UNIMPLEMENTED") {
  val options = CallOptions.DEFAULT.withCallCredentials(Token(TOKEN))
  val descriptor = Program.method(service, method)
  ClientCalls.unaryRpc(Program.channel(ADDRESS), descriptor, Empty.getDefaultInstance(), options)
}

private suspend fun errorCodes() {
  for (line in table("errors.txt")) {
    val (job, code) = line.split(" ")
    Checks.error(fails(code) { plain("$TOKEN-get-$job").get("p", job) }, line)
    Checks.error(fails(code) { watchOnce(plain("$TOKEN-watch-$job"), job).toList() }, line)
  }
}

private suspend fun pushback() {
  // The policy's own waits are short, so that a long one was the server's wish.
  val channel = channel(ADDRESS, config = serviceConfig("0.05s", "0.1s"))
  val took = lasts { same(Client(channel, "$TOKEN-pushback").get("p", "pushback").statusText, "RUNNING") }
  same(took > Program.PAUSE, true)
}

private suspend fun deadline() {
  val client = usual()
  fails("DEADLINE_EXCEEDED") { client.stub.withDeadlineAfter(300, TimeUnit.MILLISECONDS).getJob(request("slow")) }
  val seen = mutableListOf<WatchJobResponse>()
  val hasty = client.stub.withDeadlineAfter(2, TimeUnit.SECONDS)
  fails("DEADLINE_EXCEEDED") { hasty.watchJob(watchRequest("endless", "")).collect { seen += it } }
  same(seen[0].job.statusText, "RUNNING")
  noneLeft()
}

private suspend fun cancelAfterBegin() = coroutineScope {
  val client = usual()
  val watch = launch { watchOnce(client, "slow").toList() }
  delay(100) // It is begun, and not answered.
  watch.cancelAndJoin()
  noneLeft()
}

private suspend fun cancelAfterFirstResponse() = coroutineScope {
  val client = usual()
  val seen = mutableListOf<WatchJobResponse>()
  val watch = launch { watchOnce(client, "endless").collect { seen += it } }
  while (seen.isEmpty()) delay(10)
  watch.cancelAndJoin()
  same(seen[0].job.statusText, "RUNNING")
  noneLeft()
}

/** A watch that goes on after what the runner is asked to do. */
private suspend fun takenUp(client: Client, line: String, answer: String) {
  var first: String? = null
  var begun = Instant.MAX
  client.watch("p", "endless").first { response ->
    if (first == null) {
      same(response.job.statusText, "RUNNING")
      first = response.resumeToken
      same(ask(line), answer)
      begun = Instant.now()
      false
    } else {
      same(listOf(response.hasHeartbeat(), response.resumeToken), listOf(true, first))
      val observed = response.observeTime
      Instant.ofEpochSecond(observed.seconds, observed.nanos.toLong()) > begun
    }
  }
}

private suspend fun watchResume() {
  val client = usual()
  takenUp(client, "restart", "restarted")
  val told = client.watch("p", EXAMPLE).toList().single()
  same(watchOnce(client, EXAMPLE, told.resumeToken).toList().size, 0)
  noneLeft()
}

private suspend fun watchPushback() {
  val took = lasts {
    val first = plain("$TOKEN-watch-pushback").watch("p", "pushback").first()
    same(first.job.statusText, "RUNNING")
  }
  same(took > Program.PAUSE, true)
  // What a collector throws is its own, and ends the watch, even if it looks like the watch's.
  val own = Status.UNAVAILABLE.withDescription("the collector's").asException()
  var seen = 0
  val found = fails("UNAVAILABLE") {
    plain().watch("p", EXAMPLE).collect {
      seen++
      throw own
    }
  }
  same(listOf(found === own, seen), listOf(true, 1))
}

private suspend fun gzip(job: String): Job {
  val headers = AtomicReference<Metadata>()
  val capture = MetadataUtils.newCaptureMetadataInterceptor(headers, AtomicReference())
  val found = plain().stub.withCompression("gzip").withInterceptors(capture).getJob(request(job))
  same(headers.get().get(Program.text("grpc-encoding")), "gzip")
  return found
}

private suspend fun metadata() {
  val headers = AtomicReference<Metadata>()
  val capture = MetadataUtils.newCaptureMetadataInterceptor(headers, AtomicReference())
  val stub = JobServiceCoroutineStub(Program.channel(ADDRESS)).withInterceptors(capture)
  Checks.example(stub.getJob(request(EXAMPLE), Program.oddMetadata()))
  same(headers.get().get(Program.text("x-request-id")), "interop")
}

private suspend fun goaway() {
  val client = plain(address = setting("AGING_ADDRESS"))
  val end = System.nanoTime() + 3_000_000_000
  while (System.nanoTime() < end) Checks.example(client.get("p", EXAMPLE))
}

private suspend fun soak() = coroutineScope {
  val client = plain()
  repeat(10) {
    launch(Dispatchers.Default) { repeat(100) { Checks.example(client.get("p", EXAMPLE)) } }
  }
}

private suspend fun health() {
  val channel = Program.channel(ADDRESS)
  val ours = HealthCheckRequest.newBuilder().setService("jobgate.v1.JobService").build()
  same(ClientCalls.unaryRpc(channel, HealthGrpc.getCheckMethod(), ours).status, ServingStatus.SERVING)
  val watch = ClientCalls.serverStreamingRpc(channel, HealthGrpc.getWatchMethod(), ours)
  same(watch.first().status, ServingStatus.SERVING)
  val other = HealthCheckRequest.newBuilder().setService("no.such").build()
  fails("NOT_FOUND") { ClientCalls.unaryRpc(channel, HealthGrpc.getCheckMethod(), other) }
}

private suspend fun reflection() {
  val requests = flowOf(ServerReflectionRequest.newBuilder().setListServices("").build())
  val method = ServerReflectionGrpc.getServerReflectionInfoMethod()
  val answer = ClientCalls.bidiStreamingRpc(Program.channel(ADDRESS), method, requests).first()
  val names = answer.listServicesResponse.serviceList.map { it.name }
  same("jobgate.v1.JobService" in names, true)
}

/** Plays a scenario; returns what there is to note. */
private suspend fun play(name: String): String {
  when (name) {
    "example_job" -> {
      val client = usual()
      client.use { Checks.example(it.get("p", EXAMPLE)) }
      fails("UNAVAILABLE") { client.get("p", EXAMPLE) } // It is closed.
    }
    "entity_shapes" -> Checks.entities(usual().get("p", "entities"), table("entities.txt"))
    "field_presence" -> for ((job, set) in listOf("absent" to false, "blank" to false, "nested" to true)) {
      Checks.presence(usual().get("p", job), set)
    }
    "sub_jobs" -> Checks.subJobs(usual().get("p", "nested"))
    "large_job" -> Checks.large(usual().get("p", "large"))
    "error_codes" -> errorCodes()
    "credentials_missing" -> {
      val stub = JobServiceCoroutineStub(Program.channel(ADDRESS))
      same(reason(fails("UNAUTHENTICATED") { stub.getJob(request(EXAMPLE)) }), "CREDENTIALS_MISSING")
    }
    "call_credentials" -> {
      val client = tls(setting("TLS_ADDRESS"), TOKEN, File(setting("CA")))
      Checks.example(client.get("p", EXAMPLE))
    }
    "special_message" -> {
      val text = fails("ABORTED") { usual().get("p", "message") }.status.description.orEmpty()
      same(if (table("message.txt")[0] in text) "" else text, "")
    }
    "pushback" -> pushback()
    "deadline" -> deadline()
    "cancel_after_begin" -> {
      cancelAfterBegin()
      return CANCELLED
    }
    "cancel_after_first_response" -> {
      cancelAfterFirstResponse()
      return CANCELLED
    }
    "watch_to_end" -> {
      val client = usual()
      Checks.history(client.watch("p", ask("backup")).toList())
      noneLeft()
    }
    "watch_resume" -> watchResume()
    "watch_resume_killed" -> takenUp(usual(), "kill", "killed")
    "watch_silent" -> takenUp(plaintext(setting("RELAY_ADDRESS"), TOKEN), "silence", "silent")
    "watch_pushback" -> watchPushback()
    "gzip" -> {
      same(gzip("z".repeat(128)).statusText, "RUNNING")
      Checks.large(gzip("large"))
    }
    "unimplemented_method" ->
      same(reason(unknown("jobgate.v1.JobService", "NoSuchMethod")), "METHOD_NOT_IMPLEMENTED")
    "unimplemented_service" -> unknown("jobgate.v1.NoSuchService", "GetJob")
    "metadata" -> metadata()
    "goaway" -> goaway()
    "soak" -> soak()
    "health" -> health()
    "reflection" -> reflection()
    else -> throw AssertionError("no such scenario")
  }
  return ""
}

fun main(names: Array<String>) {
  // Its manifest does not have it.
  val library = AbstractCoroutineStub::class.java.protectionDomain.codeSource.location.path
    .substringAfterLast("grpc-kotlin-stub-").removeSuffix(".jar")
  val grpc = GrpcUtil.getGrpcBuildVersion().implementationVersion
  val version = "$library with grpc-java $grpc, by Kotlin ${KotlinVersion.CURRENT}"
  Program.main(names, version) { name -> runBlocking { play(name) } }
}
