//! HTTP for operators: `/livez /readyz /metrics /status`, a page for people, and the request for a rotation.
//!
//! Never a secret: everything here is made of the status rows, which hold names, times and errors. Two routers: the
//! whole one, for loopback or behind a bearer, and the one for the pod network with metrics and health alone.

mod guard;
mod metrics;
mod page;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Command, Heartbeat, RotateAnswer};
use crate::ports::Clock;
use crate::rotation::RotationName;
use crate::status::{ConfigStatus, RotationStatus, Status};
use crate::telemetry::Telemetry;

/// The loop turns at least every 5 s; this long without a turn it is stuck.
const STUCK_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// An answer of the engine; it takes microseconds unless the loop is stuck.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that are served at once; more wait. A scrape and a few people need less.
const REQUESTS_AT_ONCE: usize = 32;

/// What the handlers share. The configuration's part is swapped at a reload.
pub struct Admin {
    pub engine: mpsc::Sender<Command>,
    pub telemetry: Arc<Telemetry>,
    pub heartbeat: Arc<Heartbeat>,
    pub clock: Arc<dyn Clock>,
    pub settings: ArcSwap<Settings>,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub allow_rotate: bool,
    pub bearer_file: Option<PathBuf>,
    pub allowed_hosts: Vec<String>,
    pub config: ConfigStatus,
}

/// Everything, for an operator: on loopback, or beyond it behind the bearer.
pub fn router(admin: Arc<Admin>, listening: SocketAddr) -> Router {
    let guarded = Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/rotations/{name}/rotate", post(rotate))
        .layer(middleware::from_fn_with_state(admin.clone(), guard::bearer));
    let guard = Arc::new(guard::Hosts { admin: admin.clone(), listening });
    public_routes()
        .merge(guarded)
        .layer(middleware::from_fn_with_state(guard, guard::host))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(REQUESTS_AT_ONCE))
        .with_state(admin)
}

/// Metrics and health alone, for the pod network: scrapers and kubelets come by whatever name they like.
pub fn metrics_router(admin: Arc<Admin>) -> Router {
    public_routes().layer(tower::limit::GlobalConcurrencyLimitLayer::new(REQUESTS_AT_ONCE)).with_state(admin)
}

fn public_routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
}

impl Admin {
    async fn rotations(&self) -> Result<Vec<RotationStatus>, StatusCode> {
        let (answer, rows) = oneshot::channel();
        let ask = async {
            self.engine.send(Command::Status(answer)).await.ok()?;
            rows.await.ok()
        };
        match tokio::time::timeout(ENGINE_TIMEOUT, ask).await {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn is_turning(&self) -> bool {
        self.heartbeat.age(self.clock.read()) < STUCK_AFTER
    }

    async fn whole_status(&self) -> Result<Status, StatusCode> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            leader: true,
            config: self.settings.load().config.clone(),
            rotations: self.rotations().await?,
        })
    }
}

async fn metrics_text(State(admin): State<Arc<Admin>>) -> Response {
    match admin.rotations().await {
        Ok(rows) => {
            let text = metrics::text(&admin.telemetry.registry, &rows);
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(code) => code.into_response(),
    }
}

async fn livez(State(admin): State<Arc<Admin>>) -> Response {
    if admin.is_turning() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine's loop has not turned for a minute\n").into_response()
    }
}

/// Never the provider's state, nor one rotation's: a pod that is not ready would block the upgrade that cures it.
async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    livez(State(admin)).await
}

async fn status(State(admin): State<Arc<Admin>>) -> Response {
    match admin.whole_status().await {
        Ok(status) => Json(status).into_response(),
        Err(code) => code.into_response(),
    }
}

async fn page(State(admin): State<Arc<Admin>>) -> Response {
    match admin.whole_status().await {
        Ok(status) => {
            let (html, policy) = page::render(&status, admin.clock.read().wall);
            let headers = [
                (header::CONTENT_SECURITY_POLICY, policy),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
                (header::REFERRER_POLICY, "no-referrer".into()),
                (header::CACHE_CONTROL, "no-store".into()),
            ];
            (headers, Html(html)).into_response()
        }
        Err(code) => code.into_response(),
    }
}

#[derive(Deserialize)]
struct RotateQuery {
    /// Only issuers whose new token ends the old one will ask for it.
    #[serde(default)]
    force: bool,
}

async fn rotate(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    Query(query): Query<RotateQuery>,
    headers: axum::http::HeaderMap,
) -> Response {
    let _ = query.force; // accepted: every issuer so far lets old tokens live
    if !admin.settings.load().allow_rotate {
        return problem(StatusCode::FORBIDDEN, "rotating by HTTP is off: set admin.allowRotate: true");
    }
    if headers.get("everbearer-request").is_none_or(|value| value != "1") {
        return problem(StatusCode::FORBIDDEN, "the header Everbearer-Request: 1 is missing");
    }
    let Some(name) = RotationName::parse(&name) else {
        return problem(StatusCode::NOT_FOUND, "no such rotation");
    };
    let (answer, accepted) = oneshot::channel();
    let ask = async {
        admin.engine.send(Command::Rotate { name, answer }).await.ok()?;
        accepted.await.ok()
    };
    match tokio::time::timeout(ENGINE_TIMEOUT, ask).await {
        Ok(Some(RotateAnswer::Accepted)) => (StatusCode::ACCEPTED, "accepted\n").into_response(),
        Ok(Some(RotateAnswer::Unknown)) => problem(StatusCode::NOT_FOUND, "no such rotation"),
        Ok(Some(RotateAnswer::Suspended)) => {
            problem(StatusCode::CONFLICT, "the rotation is suspended in the configuration")
        }
        Ok(None) | Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer"),
    }
}

fn problem(code: StatusCode, text: &'static str) -> Response {
    (code, format!("{text}\n")).into_response()
}
