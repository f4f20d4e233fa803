//! The routes: the job API and the calls that start jobs.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    admission::{self, MAX_BODY},
    faults::{Shape, error, respond},
    iam, metadata,
    script::{Answer, KnownJob, Life},
    world::{World, id},
};

/// The request's id, in its extensions.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) String);

type Shared = State<Arc<World>>;

pub(super) fn routes(world: Arc<World>) -> Router {
    let admitted = middleware::from_fn_with_state(Arc::clone(&world), admission::admit);
    Router::new()
        .route("/v1/{project}/jobs/{job}", get(job))
        .route("/v2/{project}/cloudbackups", post(create))
        .route("/v2/{project}/cloudbackups/{backup}", post(delete))
        .route("/v2/{project}/cloudbackups/{backup}/restore", post(restore))
        .route_layer(admitted)
        .route("/v3/auth/tokens", post(iam::issue).get(iam::show).delete(iam::revoke))
        .route("/meta-data/latest/api/token", put(metadata::session))
        .route("/openstack/latest/securitykey", get(metadata::security_key))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&world), common))
        .with_state(world)
}

/// What happens to every request: an id, the script's latency and faults.
async fn common(State(world): Shared, mut request: Request, next: Next) -> Response {
    let request_id = id();
    request.extensions_mut().insert(RequestId(request_id.clone()));
    tokio::time::sleep(world.script.latency).await;
    let struck = world.fault(request.method().as_str(), request.uri().path());
    let mut response = match struck.and_then(|index| world.script.faults.get(index)) {
        Some(fault) => {
            tokio::time::sleep(fault.latency).await;
            fault.answer(&request_id)
        }
        None => next.run(request).await,
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().entry("x-request-id").or_insert(value);
    }
    response
}

async fn unknown(Extension(RequestId(request_id)): Extension<RequestId>) -> Response {
    let message = "The API does not exist or has not been published in the environment";
    error(404, Shape::Gateway, "APIGW.0101", message, &request_id)
}

async fn job(
    State(world): Shared,
    Path((project, job)): Path<(String, String)>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Response {
    let known = world.script.jobs.iter().find(|it| it.project == project && it.id == job);
    if let Some(KnownJob { answer: Answer::Raw(status, raw), .. }) = known {
        return respond(*status, "application/json", raw.clone());
    }
    match world.job(&project, &job) {
        Some(job) => Json(job).into_response(),
        None => error(404, Shape::Error, "common.0011", "query job fail", &request_id),
    }
}

#[derive(Deserialize)]
struct Create {
    backup: Option<Backup>,
}

#[derive(Deserialize)]
struct Backup {
    volume_id: Option<String>,
    snapshot_id: Option<String>,
    name: Option<String>,
    description: Option<String>,
}

async fn create(
    State(world): Shared,
    Path(project): Path<String>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    body: String,
) -> Response {
    let wrong = |number: u16, message: &str| {
        error(400, Shape::Error, &format!("VolumeBackup.{number:04}"), message, &request_id)
    };
    let Ok(Create { backup: Some(backup) }) = serde_json::from_str(&body) else {
        return wrong(2, "the request body is malformed or empty");
    };
    let name = backup.name.unwrap_or_default();
    let description = backup.description.unwrap_or_default();
    let Some(volume_id) = backup.volume_id.filter(|id| !id.is_empty()) else {
        return wrong(10, "volume_id is empty");
    };
    let uuid_like = volume_id.len() <= 36
        && volume_id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    match name.chars().count() {
        0 => return wrong(7, "the name is empty"),
        65.. => return wrong(3, "the name is too long"),
        _ if name.starts_with("auto") => return wrong(5, "the name begins with auto"),
        _ if !uuid_like => return wrong(11, "volume_id is no uuid"),
        _ if description.chars().count() > 64 || description.contains(['<', '>']) => {
            return wrong(6, "the description is too long or has < or >");
        }
        _ => {}
    }
    let snapshot_id = backup.snapshot_id.unwrap_or_else(uuid);
    let names = vec![
        ("$backup_id", uuid()),
        ("$volume_id", volume_id),
        ("$snapshot_id", snapshot_id),
        ("$name", name),
    ];
    start(&world, &project, world.script.start.create.clone(), names, &request_id)
}

async fn restore(
    State(world): Shared,
    Path((project, backup)): Path<(String, String)>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let Some(volume_id) = body["restore"]["volume_id"].as_str().filter(|id| !id.is_empty()) else {
        let message = "the restore request is malformed";
        return error(400, Shape::Error, "VolumeBackup.0210", message, &request_id);
    };
    let names = vec![("$backup_id", backup), ("$volume_id", volume_id.to_owned())];
    start(&world, &project, world.script.start.restore.clone(), names, &request_id)
}

async fn delete(
    State(world): Shared,
    Path((project, backup)): Path<(String, String)>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Response {
    let names = vec![("$backup_id", backup), ("$volume_id", uuid())];
    start(&world, &project, world.script.start.delete.clone(), names, &request_id)
}

fn start(
    world: &World,
    project: &str,
    life: Life,
    names: Vec<(&'static str, String)>,
    request_id: &str,
) -> Response {
    let job_id = id();
    if !world.begin(project, job_id.clone(), life, names) {
        let message = "submit job exception";
        return error(400, Shape::Error, "VolumeBackup.0014", message, request_id);
    }
    Json(json!({"job_id": job_id})).into_response()
}

fn uuid() -> String {
    let id = id();
    let cut = |from, to| id.get(from..to).unwrap_or_default();
    [cut(0, 8), cut(8, 12), cut(12, 16), cut(16, 20), cut(20, 32)].join("-")
}
