//! Recording fakes of the ports. The provider has a clock of its own and judges tokens by it; the sinks remember what
//! they held and when, so that an oracle never has to ask what Everbearer believes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use everbearer::ports::{
    Fetched, Found, Handle, Issuer, IssuerError, Observed, Sink, SinkError, Source, SourceError,
};
use everbearer::rotation::receipt::Receipt;
use everbearer::rotation::{ClientCredentials, Material, MintedToken, SourceVersion, Validity};
use everbearer::secret::{Content, SecretText};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::virtual_clock::VirtualClock;

pub(crate) struct FakeSource {
    pub(crate) secret: Mutex<String>,
    pub(crate) fetches: Mutex<u64>,
}

impl FakeSource {
    pub(crate) fn new(secret: &str) -> Arc<Self> {
        Arc::new(Self { secret: Mutex::new(secret.into()), fetches: Mutex::default() })
    }
}

/// A port that several owners look at.
pub(crate) struct Shared<T>(pub(crate) Arc<T>);

impl Source for Shared<FakeSource> {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, SourceError>> {
        *self.0.fetches.lock().unwrap() += 1;
        let secret = self.0.secret.lock().unwrap().clone();
        let credentials =
            ClientCredentials { id: SecretText::new("id"), secret: SecretText::new(secret.clone()) };
        let version = SourceVersion(format!("v{}", secret.len()).into());
        Box::pin(async move { Ok(Fetched { credentials, version, warning: None }) })
    }
}

/// How the provider answers for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weather {
    Fine,
    /// 503 at once.
    Down,
    /// Hangs for the whole of a client's patience.
    Hanging,
    /// Mints, and loses the answer.
    LosesAnswers,
    Throttling,
}

pub(crate) struct FakeProvider {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) lifetime: SignedDuration,
    pub(crate) weather: Mutex<Weather>,
    pub(crate) secret: Mutex<String>,
    pub(crate) requests: Mutex<Vec<SignedDuration>>,
    /// Token to the end of its life by the provider's clock.
    pub(crate) issued: Mutex<HashMap<String, Timestamp>>,
}

impl FakeProvider {
    pub(crate) fn new(clock: Arc<VirtualClock>, lifetime: SignedDuration, secret: &str) -> Arc<Self> {
        Arc::new(Self {
            clock,
            lifetime,
            weather: Mutex::new(Weather::Fine),
            secret: Mutex::new(secret.into()),
            requests: Mutex::default(),
            issued: Mutex::default(),
        })
    }

    pub(crate) fn issued(&self) -> usize {
        self.issued.lock().unwrap().len()
    }

    fn issue(&self) -> String {
        let mut issued = self.issued.lock().unwrap();
        let token = format!("token-{}", issued.len());
        issued.insert(token.clone(), self.clock.true_time() + self.lifetime);
        token
    }
}

impl Issuer for Shared<FakeProvider> {
    fn mint<'a>(
        &'a self,
        credentials: &'a ClientCredentials,
        asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<MintedToken, IssuerError>> {
        let provider = &self.0;
        Box::pin(async move {
            provider.requests.lock().unwrap().push(provider.clock.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
            let weather = *provider.weather.lock().unwrap();
            match weather {
                Weather::Fine => {}
                Weather::Down => return Err(IssuerError::Server { status: 503, code: None }),
                Weather::Hanging => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    return Err(IssuerError::Transport { why: "timeout".into(), maybe_minted: true });
                }
                Weather::LosesAnswers => {
                    provider.issue();
                    return Err(IssuerError::Transport { why: "reset".into(), maybe_minted: true });
                }
                Weather::Throttling => {
                    let retry_after = Some(SignedDuration::from_secs(20));
                    return Err(IssuerError::Throttled { status: 429, retry_after });
                }
            }
            if credentials.secret.expose() != *provider.secret.lock().unwrap() {
                return Err(IssuerError::CredentialRejected { status: 401, code: Some("invalid_client") });
            }
            Ok(MintedToken {
                material: Material::Bearer {
                    access_token: SecretText::new(provider.issue()),
                    token_type: "Bearer".into(),
                    response: None,
                },
                validity: Validity::new(asked_at, provider.lifetime),
            })
        })
    }
}

type Pairs = Vec<(String, Vec<u8>)>;

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) version: u64,
    pub(crate) held: Option<(Receipt, Pairs)>,
    pub(crate) broken: bool,
    /// When which token was written.
    pub(crate) writes: Vec<(Timestamp, String)>,
    pub(crate) observations: u64,
}

pub(crate) struct FakeSink {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) store: Mutex<Store>,
}

impl FakeSink {
    pub(crate) fn new(clock: Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self { clock, store: Mutex::default() })
    }
}

fn broken() -> SinkError {
    SinkError::Unreachable { why: "it is broken for the test".into() }
}

impl Sink for Shared<FakeSink> {
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>> {
        Box::pin(async {
            let mut store = self.0.store.lock().unwrap();
            store.observations += 1;
            if store.broken {
                return Err(broken());
            }
            let found = store.held.as_ref().map(|(receipt, pairs)| Found {
                receipt: Some(receipt.clone()),
                content: Content::new(pairs.iter().map(|(k, v)| (k.as_str(), v.clone()))),
            });
            Ok(Observed { handle: Handle::new(store.version.to_string()), found })
        })
    }

    fn probe<'a>(&'a self, _: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { if self.0.store.lock().unwrap().broken { Err(broken()) } else { Ok(()) } })
    }

    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>> {
        Box::pin(async {
            let now = self.0.clock.true_time();
            let mut store = self.0.store.lock().unwrap();
            if store.broken {
                return Err(broken());
            }
            if *against.0 != *store.version.to_string() {
                return Err(SinkError::Conflict);
            }
            let pairs: Vec<_> = content.expose_all().map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
            let token = content.expose("access_token").map(|v| String::from_utf8(v.to_vec()).unwrap());
            store.writes.push((now, token.unwrap()));
            store.held = Some((receipt.clone(), pairs));
            store.version += 1;
            Ok(Handle::new(store.version.to_string()))
        })
    }
}
