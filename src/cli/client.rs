//! Commands that ask a running daemon over HTTP.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};

use super::output::{fail, print};
use super::{DONE, FAILED, Remote, RotateArgs, StatusArgs, StatusOutput, WRONG, tables};
use crate::clock::SystemClock;
use crate::ports::Clock as _;
use crate::status::Status;

/// A daemon answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// 10,000 rotations are 5 MB of status.
const LARGEST_STATUS: usize = 256 * 1024 * 1024;

pub(super) async fn status(args: StatusArgs) -> ExitCode {
    let mut status = match fetch_status(&args.remote).await {
        Ok(status) => status,
        Err((code, text)) => return fail(code, &text),
    };
    if !args.names.is_empty() {
        for name in &args.names {
            if status.rotations.iter().all(|row| row.name != *name) {
                return fail(FAILED, &format!("{name}: the daemon has no rotation of that name"));
            }
        }
        status.rotations.retain(|row| args.names.contains(&row.name));
    }
    match args.output {
        StatusOutput::Json => print(&serde_json::to_string_pretty(&status).unwrap_or_default()),
        StatusOutput::Table => print(&tables::status(&status, SystemClock.read().wall)),
    }
}

async fn fetch_status(remote: &Remote) -> Result<Status, (u8, String)> {
    let request = client(remote)?.get(format!("{}/status", base(remote)));
    let response = send(remote, request).await?;
    let odd = || (FAILED, format!("what answers at {} is not Everbearer", remote.addr));
    if response.content_length().is_some_and(|length| length > LARGEST_STATUS as u64) {
        return Err(odd());
    }
    response.json().await.map_err(|_| odd())
}

pub(super) async fn rotate(args: RotateArgs) -> ExitCode {
    let client = match client(&args.remote) {
        Ok(client) => client,
        Err((code, text)) => return fail(code, &text),
    };
    let mut worst = DONE;
    for name in &args.names {
        let force = if args.force { "?force=true" } else { "" };
        let url = format!("{}/rotations/{name}/rotate{force}", base(&args.remote));
        match send(&args.remote, client.post(url).header("Everbearer-Request", "1")).await {
            Ok(_) => super::output::diagnose(&format!("{name}: asked for\n")),
            Err((code, text)) => {
                worst = worst.max(code);
                super::output::diagnose(&format!("everbearer: {name}: {text}\n"));
            }
        }
    }
    ExitCode::from(worst)
}

fn base(remote: &Remote) -> &str {
    remote.addr.trim_end_matches('/')
}

fn client(remote: &Remote) -> Result<Client, (u8, String)> {
    if url::Url::parse(&remote.addr).is_err() {
        return Err((
            WRONG,
            format!("--addr {}: a URL such as http://127.0.0.1:9464 is wanted", remote.addr),
        ));
    }
    Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|_| (FAILED, "the HTTP client cannot be made: is there a CA store?".into()))
}

async fn send(remote: &Remote, request: reqwest::RequestBuilder) -> Result<Response, (u8, String)> {
    let request = match &remote.bearer_file {
        None => request,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| (FAILED, format!("--bearer-file {}: {}", path.display(), error.kind())))?;
            request.bearer_auth(text.trim_end())
        }
    };
    let response = request.send().await.map_err(|_| {
        (
            FAILED,
            format!(
                "no daemon answers at {}: is `everbearer run` running, and is this its --listen?",
                remote.addr
            ),
        )
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text: String = response
        .text()
        .await
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect();
    let hint = if status == StatusCode::UNAUTHORIZED { ": give --bearer-file" } else { "" };
    Err((FAILED, format!("{text} ({}){hint}", status.as_u16())))
}
