//! Everbearer keeps a valid bearer token wherever workloads look for one.
//!
//! It reads client credentials from a **source**, mints an access token at an **issuer** before the last one runs out,
//! and delivers it to **sinks**. One such unit is a **rotation**.
//!
//! ```text
//!     Vault KV ┐                 ┌ token endpoint (OAuth 2.0)            ┌ Kubernetes Secret ── mounted by pods
//!     files    ├─ source ─ fetch ┤                    ─ mint ─ deliver ──┼ Vault KV path
//!     env      ┘                 └ Basic (API user)                      └ directory of files
//! ```
//!
//! # Reading order
//!
//! 1. [`secret`], [`rotation`]: the values, and the rules about them. Pure: time and randomness come in as arguments.
//!    [`rotation::policy`] says when a rotation is wanted and why, [`rotation::failure`] how long to wait after a
//!    failure, [`rotation::receipt`] what a sink remembers, [`rotation::adoption`] which token to hold after a look,
//!    and [`rotation::schedule`] is the state machine over all of them.
//! 2. [`ports`]: the four traits by which the engine reaches the world, and their errors.
//! 3. [`attempt`]: one rotation's work, and [`engine`]: the loop that carries out what the schedule decides.
//! 4. The adapters, each for itself: [`vault`], [`oauth2`], [`kubernetes`], [`mod@file`], [`environment`], [`basic`].
//! 5. [`config`] and [`app`]: from text to a running daemon.
//!
//! # Layers: arrows point down only
//!
//! | layer | modules | what is in them |
//! |---|---|---|
//! | 0 | [`secret`], [`rotation`], [`words`] | values and decisions; no tokio, no network |
//! | 1 | [`ports`], [`config`], [`render`], [`credential`], [`status`], [`telemetry`] | what is agreed between layers |
//! | 2 | [`attempt`], [`clock`], the adapters, `demo::emulator`, `demo::view` | effects; no adapter knows another |
//! | 3 | [`engine`] | the loop |
//! | 4 | [`housekeeping`], [`admin`] | regular looks, HTTP |
//! | 5 | [`app`] | wiring: the only match on spec enums; owns every task |
//! | 6 | [`demo`] | the live demo |
//! | 7 | [`cli`] | arguments, diagnostics, exit codes |
//!
//! `tests/it/architecture.rs` holds this table and fails on an upward arrow.
//!
//! # Invariants
//!
//! 1. The engine decides; adapters act. Time, randomness and IO reach the core as arguments.
//! 2. `next_wake` and `take_due` come from one plan, so they cannot disagree.
//! 3. Jitter is drawn once per token and its *draw* is stored in the receipt; it only makes a rotation earlier.
//! 4. `issued_at` is taken before the request is sent. A lifetime is a span; an instant of another machine's clock is
//!    never compared with ours.
//! 5. Due is whichever comes first by the wall clock and by boot time: no step of the wall clock keeps a dead token or
//!    harms a good one.
//! 6. A failure never harms a good token: nothing is written before a mint has succeeded, and nothing is minted before
//!    one sink has been seen to be writable.
//! 7. Minting and delivering are separate: a failed or drifted sink is served again with the held token.
//! 8. Every write names what it replaces. A refused write makes the writer look again. The generation orders the tokens
//!    of one rotation, and no sink's verified generation moves back.
//! 9. State that must survive a restart lives in the sinks, as receipts, written in the same request as the token. A
//!    restart mints nothing that is still fresh in some reachable sink.
//! 10. A receipt carries a MAC over itself and every delivered byte; a token that somebody else put into a sink is
//!     never adopted nor spread. Basic credentials are compared byte by byte with the source.
//! 11. A digest covers what changes the *token*; a changed sink, template or schedule mints nothing. Credentials are
//!     compared by keyed fingerprint; modification times and versions only say "look again".
//! 12. No unobserved task, no unbounded channel, body, queue or wait.
//! 13. Secret bytes are exposed in adapters, [`render`] and [`rotation::receipt`] only.

pub mod admin;
pub mod app;
pub mod attempt;
pub mod basic;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod demo;
pub mod engine;
pub mod environment;
pub mod file;
pub mod housekeeping;
pub mod kubernetes;
pub mod oauth2;
pub mod ports;
pub mod render;
pub mod rotation;
pub mod secret;
pub mod status;
pub mod telemetry;
pub mod vault;
pub mod words;
