//! Commands that ask a running daemon over HTTP.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};

use super::output::{fail, print};
use super::{DONE, FAILED, Remote, RotateArgs, StatusArgs, StatusOutput, WRONG, tables};
use crate::clock::SystemClock;
use crate::demo::view::{Picture, Plain, Screen};
use crate::ports::Clock as _;
use crate::status::Status;

/// Between two pictures of `--watch`.
const FRAME: Duration = Duration::from_millis(500);
/// A daemon answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// 10,000 rotations are 5 MB of status.
const LARGEST_STATUS: usize = 256 * 1024 * 1024;

pub(super) async fn status(args: StatusArgs) -> ExitCode {
    match chosen(&args).await {
        Err((code, text)) => fail(code, &text),
        Ok(status) => match args.output {
            StatusOutput::Json => print(&serde_json::to_string_pretty(&status).unwrap_or_default()),
            StatusOutput::Table => print(&tables::status(&status, SystemClock.read().wall)),
        },
    }
}

/// Goes on until q or Ctrl-C, or until nobody answers any more.
pub(super) async fn watch(args: StatusArgs) -> ExitCode {
    let mut screen = match Screen::open_if_terminal() {
        Ok(screen) => screen,
        Err(error) => return fail(FAILED, &format!("the terminal cannot be used: {error}")),
    };
    let mut plain = Plain::default();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let picture = match chosen(&args).await {
            Ok(status) => picture(status, &args.remote.addr),
            Err((code, text)) => {
                drop(screen); // gives the terminal back before anything is said
                return fail(code, &text);
            }
        };
        let left = match &mut screen {
            Some(screen) => screen.draw(&picture).and_then(|()| screen.was_left()),
            None => Ok(plain.tell(&picture).iter().any(|line| print(line) == ExitCode::from(FAILED))),
        };
        if left.unwrap_or(true) {
            return ExitCode::from(DONE);
        }
        tokio::select! {
            () = tokio::time::sleep(FRAME) => {}
            _ = &mut interrupted => return ExitCode::from(DONE),
        }
    }
}

fn picture(status: Status, addr: &str) -> Picture {
    let unwell =
        status.rotations.iter().filter(|row| !matches!(row.state.as_str(), "fresh" | "due" | "minting"));
    let (unwell, all) = (unwell.count(), status.rotations.len());
    let verdict = format!("{} of {all} well", all - unwell);
    Picture {
        headline: format!("version {} at {addr}", status.version),
        alarm: false,
        verdict,
        notes: status
            .config
            .error
            .map(|error| format!("configuration refused: {error}"))
            .into_iter()
            .collect(),
        rows: status.rotations,
        now: SystemClock.read().wall,
    }
}

/// The status, of the rotations that were asked for.
async fn chosen(args: &StatusArgs) -> Result<Status, (u8, String)> {
    let mut status = fetch_status(&args.remote).await?;
    if let Some(name) = args.names.iter().find(|name| status.rotations.iter().all(|row| row.name != **name)) {
        return Err((FAILED, format!("{name}: the daemon has no rotation of that name")));
    }
    if !args.names.is_empty() {
        status.rotations.retain(|row| args.names.contains(&row.name));
    }
    Ok(status)
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
